"""Questions: what somebody asks of a report, read by words: the intent, the regions, and what nobody examined.

Nothing here knows an answer. What is not understood is said to be so (`intent` gives an empty string), so that whoever
answers can say what it can answer instead of guessing. Which person is meant is read by `people`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Literal, cast

from facewitness import regions
from facewitness.errors import InputError
from facewitness.people import NOUN, NTH, ordinal
from facewitness.types import Label
from facewitness.words import normal

MOST = 2_000  # characters of a question


def _any(*kinds: str) -> str:
    """One pattern of several, each for a kind of sentence; beside it stands a question of that kind."""
    return "|".join(kinds)


_FAKE = (
    r"(?:fake[sd]?|deep ?fake[sd]?|forge[ds]?|forger(?:y|ies)|manipulat\w*|tampered|edit(?:ed|s|ing)|alter(?:ed|"
    r"ations?)|retouch(?:ed|ing)|photoshop\w*|swapped|replaced|changed|modified|doctored|false|bogus|phony)"
)
_REAL = r"(?:real|genuine|authentic|pristine|legit\w*|true|untouched|unaltered|original)"
_LABEL = rf"(?:{_FAKE}|{_REAL}|inconclusive|undecided)"
_IF = (
    r"\b(?:suppos\w*|assum\w*|imagin\w*|(?<!tell )(?<!know )(?<!see )(?<!say )"
    r"(?<!me )(?<!us )(?<!check )(?<!out )(?<!sure )(?<!wonder )(?<!wondering )(?<!decide )(?<!judge )(?<!asks )"
    r"(?<!ask )(?<!certain )if)\b"
)
_TOOLS = (
    r"(?:mid ?journey|dall[ -·]?e\d*|stable ?diffusion|sdxl|flux|firefly|imagen|gemini|chat ?gpt|gpt\S*|sora|veo|grok|"
    r"ideogram|runway|kling|comfy ?ui|style ?gan\d*|deep ?face ?(?:lab|live)|face ?(?:app|tune)|roop|lightroom|gimp|"
    r"snapseed|picsart|meitu)"
)
_AI = r"(?:ai|artificial intelligence|a machine|a computer|a (?:neural )?network|a generator)"

_MEDIUM = r"(?:photo\w*|picture|image|film|video|file|clip|shot|recording|portrait|selfie)"
_FILM = r"(?:film|video|clip|footage|recording|movie)\b"
_ASKS = r"(?:is|are|was|were|do|does|did|has|have)(?:n't)?"  # how a question for yes or no begins
_SO_MANY = r"(?:one|two|three|four|five|six|seven|eight|nine|ten|\d{1,4})"
_NONE = rf"(?:nobody|no one|none|neither|no(?: \w+)? {NOUN})"  # of such a question nobody can tell what "yes" says
_PLURAL = (
    r"(?:faces|persons|people|men|women|guys|girls|boys|ladies|children|kids|babies|ones|heads|subjects|individuals|"
    r"figures|gentlemen)"
)
_ABOUT = (
    r"(?:only|just|exactly|at least|at most|more than|less than|fewer than|not more than|no more than|about|nearly)"
)
# "two of them", "most of the people", "the majority of these"
_SHARE_OF = (
    rf"(?:(?:{_ABOUT}|the|a|not|even) )*(?:{_SO_MANY}|most|many|several|some|half|few|majority|minority|third|"
    rf"quarter) of "
    rf"(?:them|these|those|us|the (?:\w+ )?(?:{_PLURAL}|group|crowd)|the {_SO_MANY})\b|the majority\b(?! of)"
)
_QUANTIFIED = rf"(?:(?:any|some|every)(?:one|body)|both|all {NOUN}|any(?: \w+)? {NOUN}|{_NONE})"

# What questions ask for, in the order in which they are tried. A question that names a region asks about that region
# unless it asks for something that is not a face's.
INTENTS: dict[str, str] = {
    "self": _any(
        r"^(?:who|what) are you\b",  # "Who are you?"
        r"\bwhat (?:can|could) (?:you (?:do|answer|say|tell me)|i ask(?: you)?)\W*$",  # "What can you do?"
        r"\b(?:which|what) (?:regions|parts|places) (?:can|could|may) i\b",  # "Which regions can I ask about?"
        r"\blist (?:all )?(?:the |your )?regions\b",  # "List the regions."
        r"^help\W*$",  # "Help!"
        # "Who made you?"
        r"\bwho (?:made|built|wrote|created|developed|trained) (?:you|this (?:tool|program|software))\b",
        # "Can you show me the original?"
        r"^(?:please )?(?:(?:can|could|would|will) you )?(?:please )?(?:undo|restore|repair|fix|draw|translate|"
        r"delete|erase|crop|enlarge|zoom|open|print|download|export|highlight|unblur|sharpen|recover|reconstruct|"
        r"(?:show|give|get|find|send)(?: me)? the original)\b",
        # "Can you remove the beard?"
        r"\b(?:can|could|would|will) you (?:please )?(?:change|edit|remove|save|send|upload|mark|blur|make it|say "
        r"(?:it|that) in)\b",
        r"^(?:please )?say (?:it|that) in\b",  # "Say that in German."
        r"\b(?:what|which) version\b",  # "Which version is this?"
        # "Are you human?"
        r"\bare you (?:an? )?(?:\w+ ){0,2}(?:ai|bot|chatbot|human|person|machine|program|model)\b",
    ),
    "again": _any(
        # "Can you repeat that?"
        r"^(?:please |can you |could you )*(?:repeat|say) (?:that|it|this)(?: again| once more)?(?: please)?\W*$",
        r"^(?:repeat|once more|again|come again|pardon|say again)\W*$",  # "Once more?"
        r"^what did you (?:just )?say\W*$",  # "What did you say?"
    ),
    "witnesses": _any(
        r"\bwhich witness(?:es)?\b",  # "Which witness is that?"
        # "What do the witnesses say?"
        r"\bwitness(?:es)?\b.*\b(?:say|says|said|agree\w*|disagree\w*|think|thinks|find|found|contradict\w*)\b",
        r"\bhow many witnesses\b",  # "How many witnesses are there?"
        # "Which model are you using?"
        r"\b(?:which|what) (?:detectors?|models?|networks?|methods?|programs?) (?:do|did|have|are) you\b",
    ),
    "examined": _any(
        # "What did you not look at?"
        r"\bwhat (?:did|do|have|was|were|is|has)(?:n't)? (?:you |it |this |been )?(?:not |"
        r"never )?(?:been )?(?:look(?:ed)? at|examined?|check(?:ed)?|analy[sz]ed?|test(?:ed)?|left out|missed)\b",
        # "When was this analysed?"
        r"\b(?:how|when) (?:was|were|is|did you|have you) ?(?:it|this|that|the \w+)? ?(?:analy[sz]ed?|examined?|"
        r"check(?:ed)?|test(?:ed)?)\b",
    ),
    "means": _any(
        r"\bwhat does the (?:mask|overlay|heat ?map|colou?rs?) (?:show|say)\b",  # "What does the mask show?"
        r"\bwhat (does|do|did|is|are)\b.*\b(means?|meaning|meant)\b",  # "What does inconclusive mean?"
        r"\bmeaning of\b",  # "The meaning of calibrated?"
        r"\bdefin(e|ition)\b",  # "A definition of fake?"
        # "What is a witness?"
        r"\bwhat(('s)| is| are) (an? |the )?(inconclusive|calibrated|thresholds?|interval|probability of forgery|"
        r"mask|((very )?strong|moderate|weak) sign|findings?|witness(es)?|auc|compact|kfd|mare|regions?)\b(?! "
        r"(?:\w+ )?(?:of|in|on) )",
    ),
    "publish": _any(
        r"\b(?:court|legal\w*|lawyer|judge and jury)\b",  # "Would this hold in court?"
        # "Can I publish this?"
        r"\b(can|may|should|could|shall|must|ok(ay)?|safe|allowed)\b(?! you\b).*\b(publish|print|post|share|run|use|"
        r"air|broadcast|accuse|rely on|sue|fire|report (him|her|them|it))\b",
        r"\bfit (to|for) (print|publication)\b",  # "Is it fit to print?"
        # "Can I tell my readers that it is fake?"
        r"\b(?:can|may|should|could|shall|must) (?:i|we) (?:tell|say|write|claim|state|announce|call (?:it|this|him|"
        r"her|them))\b",
    ),
    "next": _any(
        r"\bwhat (should|shall|can|could|do|must|would) (i|we|you|one)\b.*\bdo\b",  # "What should I do next?"
        r"\bwhat('s| is| comes)? next\b",  # "What next?"
        r"\bnext steps?\b",  # "Any next steps?"
        r"\b(what|how) now\b",  # "What now?"
        r"\bwhat to do\b",  # "What to do?"
        r"\bwhat (should|can|do) (i|we) (check|try|look (at|for))\b",  # "What should I look for?"
        # "How can I verify that?"
        r"\bhow (can|could|do|should) (i|we) (check|verify|confirm|find out|make sure|prove)\b",
    ),
    "suppose_real": _any(
        rf"{_IF}.*\b{_REAL}\b",  # "Assume it is genuine. What evidence do you have?"
        # "What evidence is there that it is real?"
        rf"\b(evidence|speaks?|argument\w*|reasons?)\b.*\b(for|that it is|it's)\b.*\b{_REAL}\b",
        rf"\bcase (for|that)\b.*\b{_REAL}\b",  # "What is the case for real?"
    ),
    "suppose_fake": _any(
        rf"{_IF}.*\b({_FAKE}|synthetic)\b",  # "Suppose it is fake. Why?"
        rf"\b(evidence|speaks?|argument\w*)\b.*\bfor\b.*\b({_FAKE}|manipulation)\b",  # "What speaks for a forgery?"
        rf"\bcase (for|that)\b.*\b{_FAKE}\b",  # "What is the case for fake?"
    ),
    "sides": _any(
        # "What speaks for either side?"
        r"(?<!\bon )(?<!\bat )\b(either|both|each) (sides?|cases?|hypothes[ei]s|ways)\b(?! of\b)",
        rf"\bwhy\b.*\b{_LABEL} (wins?|won|stands?)\b",  # "Why did real win?"
        # "Why did that side win?"
        rf"\bwhy (did|does|has) (the )?({_LABEL}|that|this|it)( case| side| answer)? (win|won|stand)\b",
    ),
    "length": _any(
        rf"\bhow long (?:is|was|does) (?:the|this|that|your) {_FILM}",  # "How long is the film?"
        r"\b(?:duration|running time) of\b",  # "The running time of the film?"
        # "How many frames are there?"
        r"\bhow many (?:frames|moments|seconds|minutes)\b(?!.*\b(?:fake|forged|real)\b)",
        # "Which frames did you look at?"
        r"\b(?:which|what|all|every|each) (?:the )?(?:frames?|moments?)\b(?! should\b).*\b(?:examin\w*|judged?|"
        r"look\w* at|check\w*|analy[sz]\w*)\b",
        r"\bframe ?rate\b",  # "What is the frame rate?"
    ),
    "when": _any(
        # "Is every frame fake?"
        rf"\b(?:every|each|all|any)(?: of the)?(?: single)? (?:frames?|moments?|seconds?)\b.*\b{_LABEL}\b",
        r"\b(?:which|what) (?:frames?|moments?) should\b",  # "Which frame should I look at?"
        r"\b(?:which|what)(?: \w+){0,3} (?:frames?|moments?)\b",  # "Which frame is the worst?"
        r"\bhow many (?:frames|moments|seconds)\b",  # "How many frames are fake?"
        # "Is it fake the whole time?"
        rf"\b{_LABEL}\b.*\b(?:all the time|the (?:whole|entire) time|throughout|always|constantly|all along|from "
        r"(?:start|beginning) to (?:end|finish))\b",
        r"\b(?:worst|most suspicious) (?:moment|frame|part of the)\b",  # "Which is the worst moment?"
        # "What percentage of the film is fake?"
        r"\b(?:what|which) (?:percentage|per ?cent|share|fraction|proportion|portion|part) of (?:the |this |"
        rf"that ){_FILM}",
        # "Is the whole film fake?"
        r"\b(?:whole|entire|all of the|all of this|(?:only|just)(?: an?)? part of (?:the|this)|half of (?:the|"
        rf"this)) {_FILM}.*\b{_LABEL}\b",
        rf"\b{_LABEL}\b.*\bfrom the (?:start|beginning)\b",  # "Is it fake from the beginning?"
        r"\bflicker\w*",
        r"\bover time\b",
        r"\bfrom frame to frame\b",  # "Does it change from frame to frame?"
        r"\bwhen\b",
        # "At what time?"
        r"\b(at )?(what|which) (times?|moments?|seconds?|minutes?|parts? of the (film|video|clip))\b",
        r"\bhow long\b(?! (?:did|does|will) (?:it|this|that|you|the analysis) take)",  # "How long is it fake?"
        r"\bhow much of the (time|film|video|clip)\b",  # "How much of the film?"
    ),
    "which": _any(
        # "Which faces are fake?"
        rf"\b(which|what)( of (the|these|those))?( {NOUN})?( is| are| was| were| looks?| seems?)( the)? {_LABEL}( "
        rf"{NOUN})?\b",
        rf"\bwho('s| is| are| was| were| looks?| seems?)( the)? {_LABEL}\b",  # "Who is fake?"
        # "Is everybody real except the left one?"
        rf"\b(is|are|was|were) (any|some|every)(one|body)\b.*\b{_LABEL}\b",
        # "Are both of the eyes forged?"
        r"\b(is|are|was|were) (all|any|both|each|none|either|one)( of)?( the| these| those| them)?( "
        rf"\w+)? ?{NOUN}?\b.*\b{_LABEL}\b",
        rf"\bhow many\b(?!.*\bdo you\b).*\b{_LABEL}\b",  # "How many are fake?"
        # "Are the two people real?"
        rf"\b(are|were) (the|these|those)( {_SO_MANY})? (faces|people|persons|men|women|children)\b.*\b{_LABEL}\b",
        # "Have any faces been swapped?"
        rf"\b{_ASKS}( there)?( {_ABOUT})? ({_QUANTIFIED}|(they|these|those) (both|all))\b.*\b{_LABEL}\b",
        rf"\b{_ASKS} {_ABOUT} ({_SO_MANY})\b.*\b{_LABEL}\b",  # "Are at most two fake?"
        rf"\b{_ASKS} {_SHARE_OF}.*\b{_LABEL}\b",  # "Are most of the people real?"
        rf"\bwhose (?:faces?|heads?)\b.*\b{_LABEL}\b",  # "Whose face was swapped?"
        # "Is there a fake face here?"
        rf"\bthere( an?| any| some| no| another| more)* ({_LABEL} {NOUN}|{NOUN}\b.*\b{_LABEL}|(deep ?)?fakes?(?! \w)|"
        r"forger(?:y|ies))\b",
        rf"\b{_ASKS} (?:(?:it|this|that) all|(?:all|none) of (?:it|this|that))\b.*\b{_LABEL}\b",  # "Is it all fake?"
    ),
    "signs": _any(
        # "What is the weakest sign?"
        r"\b(?:strong|weak|bigg|larg|clear|bad|worst|best|most|least|main)(?:er|est)?(?: \w+)? (?:signs?|traces?|"
        r"findings?|clues?|hints?|evidence|regions?|areas?|parts?|places?)\b",
        # "Which region is the most suspicious?"
        r"\b(?:which|what) (?:regions?|areas?|parts?|places?|features?|signs?)\b.*\b(?:most|least|worst|strongest|"
        r"weakest)\b",
        # "How many signs are there?"
        r"\b(?:how many|list|count|name|what|which)(?: (?:me|are|were|all|of|the|did you find))* (?:signs?|findings|"
        r"traces|clues|hints)\b(?!.*\bmeans?\b)",
    ),
    "clean": _any(
        # "Where is nothing wrong?"
        r"\b(?:where|what|which)\b.*\bnothing (?:\w+ )?(?:wrong|odd|strange|suspicious|forged|fake|found)\b",
        # "Which parts are not fake?"
        rf"\b(?:which|what|where)\b(?! (?:face|person|man|woman)s?\b).*\b(?:(?:not|isn't|aren't|un\w+) {_FAKE}|(?:is|"
        rf"are|looks?|seems?)(?: to be)? (?:{_REAL}|fine|ok(?:ay)?|clean|right|normal|good|in order))\b",
        # "Which parts were not touched?"
        r"\b(?:which|what) (?:parts?|regions?|areas?|places?) (?:were|was|have|has)(?:n't| not)\b",
    ),
    "extent": _any(
        # "How much of the face is fake?"
        r"\bhow much (?:of|was|is|has|did|were)\b(?!.*\b(?:time|film|video|clip)\b)",
        # "How large is the mask?"
        rf"\bhow (?:big|large|wide)\b.*\b(?:{_FAKE}|mask(?:ed)?|marked|suspicious|area|part|region|change)\b",
        # "Is the whole face swapped or only a part?"
        rf"\b(?:whole|entire|complete|full|all of the) face\b.*\b(?:{_LABEL}|made|generated|replaced|changed|part|"
        r"only)\b",
        # "Is it only a small part?"
        r"\b(?:only|just) (?:an?|some|one) (?:small |little )?(?:part|region|area|bit)s?\b",
    ),
    "place": _any(
        r"\b(?:coordinates?|bounding box(?:es)?|position) of\b",  # "What are the coordinates of the face?"
        # "Where is the fake face?"
        rf"\bwhere(?: in the \w+)? (?:is|are|was|were|stands?) (?:the )?(?:(?:{_LABEL}|other) )?{NOUN}(?: "
        r"(?:number )?\d{1,4})?\W*$",
    ),
    "faces": _any(
        # "How likely is it that both are real?"
        r"\bhow (?:likely|probable|sure|certain)\b.*\b(?:both|all|each|everyone|everybody)\b",
        rf"\bcompare\b.*\b{NOUN}\b",  # "Compare the faces."
        r"\b(?:rank|sort|compare) (?:them|all|everyone|everybody)\b",  # "Rank them."
        rf"\bwhich(?: one| {NOUN})? is (?:worse|better|worst)\b",  # "Which one is worse?"
        # "What is the probability for each face?"
        r"\b(?:probabilit\w*|scores?|chances?|sure|certain|per ?cent\w*|verdicts?|results?|say|about|"
        rf"for)\b.*\b(?:each|every|all|both)(?: of)?(?: the)?(?: (?:\d+|{_SO_MANY}))? {NOUN}\b",
        # "Which face is more suspicious?"
        rf"\b(which|who|what)\b.*\b(more|most|less|least) (suspicious|likely|probably|{_LABEL})\b",
        r"\bboth (?:probabilities|scores|verdicts|results|answers)\b",  # "Tell me both scores."
        r"\bmiss(?:ed)? (?:any|some)(?:body|one)\b",  # "Did you miss anybody?"
        # "Are there more people?"
        rf"\b(?:is|are|was|were) there (?:any |some )?(?:more|other|another|further) {NOUN}\b",
        r"\bhow many (faces|people|persons|men|women|children)\b",  # "How many faces are there?"
        r"\bwho else\b",  # "Who else is there?"
        r"\bwho (is|are) (there|in)\b",  # "Who is in it?"
        r"\b(which|what) (faces|people|persons)\b",  # "Which people are seen?"
        r"\b(list|show) (me )?(all )?(the )?(faces|people|persons)\b",  # "List all the faces."
    ),
    "tool": _any(
        rf"\b{_TOOLS}\b",  # "Was it made with Midjourney?"
        r"\bwhat (?:was|is) the prompt\b",  # "What was the prompt?"
        r"\bphoto ?shop (?:been )?(?:used|involved)\b",  # "Was Photoshop used?"
        r"\b(?:uses?|used|using|with|in) (?:adobe )?photo ?shop\b",  # "Did they use Photoshop?"
        r"\b(which|what) (tool|software|program|app|generator|model)\b",  # "Which software was used?"
        # "Was it edited in Facetune?"
        rf"\b(made|created|generated|edited|forged|faked|drawn) (with|using|in|by) (?!(?:an? )?{_AI}\b)\w+",
    ),
    "made": _any(
        rf"\b{_AI}\b",  # "Was the picture made by an AI?"
        r"\b(machine|computer)[ -]?(generated|made)\b",  # "Is it computer-generated?"
        r"\bgenerated\b|\bsynthes\w*|\bsynthetic\b|\bartificial\w*|\bgans?\b|\bdiffusion\b|\bcgi\b",
    ),
    "wrong": _any(
        r"\btrustworthy\b",
        # "How many percent of fakes do you miss?"
        r"\bdo you (?:ever )?(?:miss|catch|detect|overlook|recogni[sz]e)\b",
        r"\bhow good (?:is|are) (?:you|this|the tool|it)\b",  # "How good are you?"
        r"\bbelieve (?:you|it|this|that)\b",  # "Can I believe you?"
        # "Is the probability correct?"
        r"\b(?:the|your|this|that) (?:\w+ )?(?:verdict|result|conclusion|decision|judge?ment|answer|analysis|"
        r"assessment|report|score|probability|percentage|mask|finding)s?\b(?: be| is| are| was)?(?: \w+)? (?:wrong|"
        r"false|right|correct|incorrect|true|certain|final|mistaken|sound|valid|definit\w+|trusted|conclusive|"
        r"proof)\b",
        # "Is that right?"
        r"\b(?:is|are|was) (?:you|it|this|that|the tool) (?:right|correct|certain|mistaken|proof|proven)\b",
        r"\bhow (often|accurate|reliable|trustworthy|good are)\b",  # "How often are you wrong?"
        r"\berror rates?\b",  # "What is the error rate?"
        r"\bmistak\w+|\btrust\b",
        r"\bfalse (alarm|positive|negative)s?\b",  # "Are there false alarms?"
        # "Are you ever wrong?"
        r"(?<!what )\b(be|are|been|were|is|was) (you |it |this )?(ever |often )?wrong\b(?! (with|in|on|at|here|"
        r"there)\b)",
        r"\breliab\w*|\baccura\w*|\blimit(s|ations?)?\b",
        r"\btrack record\b",  # "What is your track record?"
    ),
    "sure": _any(
        # "What would change the verdict?"
        r"\b(how (sure|certain|confident|likely|probable)|probabilit\w*|confidence|certainty|chances?|per ?cent\w*|"
        r"are you (?:\w+ ){0,2}(sure|certain|confident|positive)|(?:change|changes|flip|turn|overturn) (?:the |"
        r"your )(?:verdict|mind|result|answer)|border ?line|close call)\b",
        r"^(?:really|seriously)\W*$",  # "Really?"
        r"\b(?:can't|cannot) be(?: true)?\W*$",  # "That cannot be true!"
    ),
    "kind": _any(
        r"\b(what|which) (kind|type|sort|method|technique|way)\b",  # "What kind of forgery is it?"
        # "How was face 2 changed?"
        r"\bhow (was|is|were) (it|this|that|face \d{1,4}|the (face|picture|photo|image))\b.*\b(made|forged|faked|"
        r"done|created|manipulated|changed|edited|altered|swapped)\b",
        r"\bface[ -]?swap(?:s|ping)?\b",  # "Is it a face swap?"
    ),
    "else": _any(
        # "Could it just be make-up?"
        r"\b(?:could|can|might|may|is|was|are|isn't)\b.*\b(?:filters?|make-?up|cosmetics|lipstick|lighting|"
        r"compression|jpeg artefacts|jpeg artifacts|surgery|botox|skin care|beauty mode|portrait mode|camera "
        r"(?:software|app)|something else|another (?:reason|cause|explanation)|other (?:reasons?|causes?|"
        r"explanations?)|coincidence|harmless)\b",
    ),
    "what_if": _any(
        # "What if I send a better photo?"
        r"\b(?:better|sharper|larger|bigger|another) (?:photo\w*|picture|image|result|quality|copy|version)\b",
        r"\bwhat (?:if|would happen|happens if|about if)\b",  # "What if the photo was compressed?"
        # "If I crop it, what then?"
        r"\bif (?:i|we|you) (?:send|sent|crop\w*|resize\w*|upload\w*|use|used|had|rotate\w*|compress\w*|"
        r"sharpen\w*)\b",
    ),
    "where": _any(
        # "What was done to the face?"
        r"\bwhat (?:was|has been) (?:done|changed|edited|altered) (?:to|with|on|in)\b",
        r"\bwhat (?:did|have) you (?:find|found|see|seen|notice\w*)\W*$",  # "What did you find?"
        # "What is wrong with the nose?"
        r"\bwhat(?:'s| is| was| looks) (?:wrong|odd|strange|weird|off|suspicious|fishy|unusual)\b",
        r"\bwhere\b",
        # "Which regions are manipulated?"
        r"\b(which|what) (?:(?:is|are|was|were) the )?(parts?|regions?|areas?|places?|features?)\b",
    ),
    "why": _any(
        r"\bwhy\b",
        r"^(?:more|go on|continue|(?:more )?details?)\W*$",  # "More details?"
        r"^prove (?:it|that)\W*$",  # "Prove it."
        r"\bhow (?:did|do) you (?:get|come|arrive)\b",  # "How did you get to 99 %?"
        r"\bevidence\b",
        r"\bhow (do|can|did) you (know|tell|see)\b",  # "How do you know?"
        r"\bexplain\b|\breasons?\b",
        r"\bshow me\b",  # "Show me."
        r"\bhow come\b",  # "How come?"
        r"\btell me more\b",  # "Tell me more."
    ),
    "quality": _any(
        r"\bhow (?:big|large|small|wide|tall|sharp)\b.*\b(?:face|head|person)\b",  # "How big is face 2?"
        r"\b(quality|blur\w*|sharp\w*|resolution|dark|too small)\b",  # "Is the middle of the face blurred?"
    ),
    "verdict": _any(
        # "Can you check this picture for me, please?"
        rf"\b(?:check|analy[sz]e|examine|look at|judge|assess) (?:this|it|that|the|my) ?(?:{_MEDIUM}|face)?(?: for "
        r"me)?(?:,? please)?\W*$",
        rf"\b({_FAKE}|{_REAL}|verdict|result|conclusion)\b",  # "Have the teeth been altered?"
        # "The mouth looks odd, is it fake?"
        r"\b(?:suspicious|strange|weird|odd|off|fishy|unnatural|natural|normal|convincing|trick(?:ed)?|fooled|hoax|"
        r"scam)\b",
        # "Is everything in order?"
        r"\b(?:anything|something|everything) (?:is |looks |seems )?(?:wrong|fine|ok(?:ay)?|in order)\b",
        r"\blooks? (?:fine|ok(?:ay)?|right|good|wrong)\b",  # "Does it look fine?"
        r"\bsummar\w*",
        r"\bsum (?:it |this |that )?up\b",  # "Sum it up."
        r"\boverview\b",
        r"\bin (?:short|one sentence|a nutshell)\b",  # "And in one sentence?"
        r"\bshort version\b",  # "The short version?"
        r"\btell me everything\b",  # "Tell me everything."
        r"\btl;?dr\b",  # "TL;DR?"
    ),
}
_REACH = ".{0,200}"  # what ".*" stands for: with no end, a long text that begins the same thing often would take long
_PATTERNS = {name: re.compile(pattern.replace(".*", _REACH), re.DOTALL) for name, pattern in INTENTS.items()}

# What a question may be about that nobody examined: how it is called in the answer, and by which words it is known.
PHOTOGRAPH = "whether it is a photograph"
ADDED = "whether somebody or something was added, removed or moved"
SAME = "whether it is the same person"
PROCESSED = "how it was cut, turned, scaled, coloured or saved"
UNEXAMINED: dict[str, str] = {
    "the background": _any(
        r"\bbackgrounds?\b|\bbackdrop\b|\bscenery\b|\bsky\b|\bbuildings?\b",
        r"\b(room|wall|street) behind\b",  # "Is the wall behind him real?"
    ),
    "light, shadows and perspective": _any(
        r"\bshadows?\b|\blighting\b",
        r"\blight (?:on|of|in) ",  # "Is the light on both faces the same?"
        r"\blight (?:source|come|fall|direction)\w*",  # "Where does the light come from?"
        r"\breflect\w+|\bperspective\b|\bproportion\w*|\ba?symmetr\w+|\bvanishing\b",
    ),
    SAME: _any(
        r"\blooks? (?:alike|similar)\b",  # "Do they look alike?"
        # "Is the left face a copy of the right one?"
        rf"\b(?:cop(?:y|ies)|duplicates?|clones?) of (?:the |that |an?)?(?:\w+ )?{NOUN}\b",
        # "Is the face on the left the same as the face on the right?"
        rf"\bsame as (?:the |that )?(?:{NOUN}|other)\b",
        # "Are the faces the same person?"
        r"\bsame (?:\w+ )?(?:persons?|people|m[ae]n|wom[ae]n|faces?|guys?|girls?|boys?|child|kids?|somebody|"
        r"someone)\b",
        rf"\b{NOUN} (?:\w+ )?(?:is |are |stays? |remains? )?the same\b",  # "Are the faces of the same man?"
        r"\btwins?\b|\brelat(?:ed|ives?)\b|\bsiblings?\b",
        r"\bthe same (?:as )?at (?:\d|the (?:start|beginning|end))",  # "Is she the same at the end?"
        # "Do the faces match?"
        rf"\b(?:do|does|are|is) (?:the |these |both |they )(?:\w+ )?{NOUN} (?:differ|match|resemble)\b",
        r"\bdiffer(?:s|ent)? from (?:each other|one another|the other)\b",  # "Do they differ from each other?"
    ),
    "the voice and the sound": _any(
        r"\blip[ -]?sync\w*",  # "Is it lip-synced?"
        r"\b(?:in|out of) sync\b",  # "Are the lips in sync?"
        r"\bsynchron\w+\b|\bvoices?\b|\baudio\b",
        r"\bsound(track)?\b",  # "Is the soundtrack real?"
        r"\bspeech\b|\bspeaking\b|\bmusic\b",
    ),
    "the hands": _any(
        r"(?<!left-)(?<!right-)(?<!left )(?<!right )\bhands?\b(?! side)",  # "Are the hands fake?"
        r"\bfingers?\b",
    ),
    "the body": _any(
        r"\b(body|arms?|legs?|shoulders?|torso|feet)\b",  # "Are the arms fake?"
    ),
    "clothes and things worn": _any(
        r"\bcloth(es|ing)\b",  # "Are the clothes real?"
        r"\b(shirt|dress|uniform|jacket|necktie|scarf|jewell?ery|tattoos?|earrings?)\b",  # "Is the uniform real?"
    ),
    "text and signs in the picture": _any(
        # "Is the text below forged?"
        r"\b(text|caption|writing|letters|headline|logo|watermark|banner|poster|subtitles?|license plate|number "
        r"plate)\b",
    ),
    PHOTOGRAPH: _any(
        r"\b(?:is|was) (?:it|this|that) an? photo(?:graph)?\W*$",  # "Is it a photograph?"
        # "Could this be a statue?"
        r"\b(paintings?|drawings?|cartoons?|sketch|statues?|dolls?|mannequins?|puppets?|wax figures?|screen ?shots?|"
        r"photo of a (photo|screen)|game)\b",
    ),
    "who it is": _any(
        # "Since it is not fake, who is it?"
        r"\bwho('s| is| are| was)? (this|that|he|she|it|they|the|these|those)\b",
        r"(^|\b(know|tell|say) )whose\b(?! faces?\b| heads?\b)",  # "Do you know whose it is?"
        r"\bwhat is (his|her|their) name\b",  # "What is her name?"
        r"\bidentify (him|her|them|this|that|the (m[ae]n|wom[ae]n|persons?))\b",  # "Identify this man."
        r"\b(recogni[sz]e|know) (him|her|them|this (person|man|woman))\b",  # "Do you recognize him?"
        r"\bidentity of\b",  # "The identity of the man?"
        # "Is this person a real politician?"
        r"\b(politician|celebrity|actor|actress|president|minister|chancellor|senator|king|queen|singer|famous|vip|"
        r"somebody else|someone else|look ?alike|impersonat\w*)\b",
        r"\breally exists?\b",  # "Does she really exist?"
        r"\bdoes (he|she|this person) exist\b",  # "Does this person exist?"
    ),
    "a person's age and such traits": _any(
        # "How old is he?"
        rf"\bhow old (?:is|are|was|were|does|do) (?:he|she|they|(?:the|this|that|these|those) (?:\w+ )?{NOUN})\b",
        r"\b(?:older|younger) than\b",  # "Is he older than her?"
        r"\b(?:alive|dead)\b",  # "Is he dead?"
        r"\b(his|her|their) (age|gender|race|nationality|religion|ethnicity)\b",  # "What is her age?"
        r"\b(male or female|man or a? ?woman)\b",  # "Is it male or female?"
        r"\b(lying|happy|angry|drunk|guilty)\b",  # "Is he lying?"
    ),
    PROCESSED: _any(
        # "Has the picture been flipped?"
        r"\b(?:cropp(?:ed|ing)(?! (?:\w+ )?out)|crop|flipped|mirrored|rotated|stretched|squeezed|resized|rescaled|"
        r"upscaled|enlarged|shrunk|re-?saved|re-?compressed|compressed|sharpened|smoothed|denoised|brightened|"
        r"darkened|colou?ri[sz]ed|colou?r[ -]?(?:corrected|graded)|slowed|slow motion|sped up|reversed|backwards|"
        r"loop(?:ed|s)?|trimmed|re-?encoded|interpolated|stabili[sz]ed)\b",
        r"\b(?:film|video|clip|picture|photo\w*|image)s? (?:been )?cut\b",  # "Was the film cut?"
        r"\bframes? (?:been |were |are )?(?:removed|dropped|missing|cut|added|repeated)\b",  # "Were frames removed?"
    ),
    ADDED: _any(
        # "Did someone cut a person out?"
        r"\b(?:add(?:ed)?|insert(?:ed)?|remov(?:e|ed)|eras(?:e|ed)|delet(?:e|ed)|cloned|duplicated|missing|absent|"
        r"pasted|composite[ds]?|montages?|collages?|spliced?|in-?painted|pieced|put together|disappeared|vanished|"
        r"(?:edited|painted|photoshopped|brushed) (?:\w+ ){0,2}?in(?:to)?|(?:cut|cropped|edited|painted|"
        r"photoshopped|brushed|airbrushed|taken|left|blacked) (?:\w+ ){0,2}?out)\b",
        rf"\b(?:more|fewer|less|extra|additional) {NOUN} than\b",  # "Are there more people than before?"
        r"\b(?:was|were) (?:\w+ ){0,4}(?:there|present|next to each other|together)\b",  # "Was he really there?"
        r"\bmoved\b",
        r"\bcrowd\b.*\b(?:bigg?er|large?r|small?er|size|grew|real)\b",  # "Was the crowd larger?"
    ),
    "where, when and by whom it was made": _any(
        # "How old is the photo?"
        r"\bhow old (?:is|was) (?:it|(?:the|this|that) (?:photo\w*|picture|image|film|video|file|clip))\b",
        # "Where does it come from?"
        r"\bwhere (?:does|did|is) (?:it|this|that|the (?:\w+ )?(?:photo\w*|picture|image|film|video|file|clip)) "
        r"(?:come )?from\b",
        r"\bwhere did you get\b",  # "Where did you get it?"
        r"\bwhat (?:date|day|year|month)\b",  # "What year is it from?"
        r"\b(was|were) (it|this|that) (taken|filmed|shot|recorded)\b",  # "Was it taken in Paris?"
        # "When was the photo taken?"
        r"\b(when|where) (was|were|is) (it|this|that|the (photo|picture|image|video)) (taken|shot|made|filmed|"
        r"recorded|from)\b",
        r"\bwho (took|made|posted|faked|forged|shot|did|published)\b",  # "Who made it?"
        r"\b(copyright|photographer)\b",  # "Who has the copyright?"
    ),
}
_UNEXAMINED = {name: re.compile(pattern.replace(".*", _REACH)) for name, pattern in UNEXAMINED.items()}
_NAMED = re.compile(r"\b(?:[Ii]s|[Ww]as) (?:this|that|it|he|she)(?: really)? (?:[A-Z][\w'’-]+)(?: [A-Z][\w'’-]+)+")

_FILE = re.compile(
    _any(
        # "How many bytes has it?"
        r"\b(file ?names?|file ?sizes?|file ?(?:type|format)|(?:kilo|mega)?bytes?|megapixels?|checksum|hash|"
        r"sha-?256|fingerprint|signed|digital signature|dimensions?|codecs?|bit ?rate|colou?r (?:profile|space)|icc|"
        r"aperture|shutter(?: speed)?|exposure|iso|focal length)\b",
        # "Is it a PNG or a JPEG?"
        r"\b(?:is|was) (?:it|this|that) (?:\w+ ){0,2}an? (?:jpe?g|png|web ?p|hei[cf]|avif|gif|tiff?|raw file)\b",
        r"\bwhat(?:'s| is| was) the resolution\b(?! of (?:the|this|his|her) face)",  # "What is the resolution?"
        # "Was it taken with a phone?"
        r"\b(?:taken|shot|made|filmed) (?:with|by|on) (?:an? |the |which |what )?(?:smart)?(?:phone|camera|device|"
        r"i ?phone|scanner)\b",
        r"\bname of (?:the|this) file\b",  # "The name of the file?"
        # "How big is the file?"
        r"\bhow (?:big|large|heavy) (?:is|was) (?:the|this|that) (?:file|picture|photo\w*|image|film|video)\b",
        # "The size of the picture?"
        r"\b(?:size|resolution) of (?:the|this|that) (?:file|picture|photo\w*|image|film|video)\b",
        # "What format is it?"
        r"\bwh(?:at|ich) (?:resolution|size|format|type of file|kind of file)\b(?!.*\bface\b)",
        r"\bhow many pixels\b",  # "How many pixels has it?"
        # "Was the file edited?"
        r"\bfile'?s? (?:\w+ )?(?:name|size|format|type|hash|original|edited|changed|altered|modified|re-?saved)\b",
        # "Is this the original file?"
        r"\b(?:the|an?) original (?:file|picture|photo\w*|image|film|video|version|copy|recording)\b",
        r"\b(?:is|was) (?:it|this|that) (?:\w+ )?(?:the|an?) original\W*$",  # "Is this the original?"
        # "Has it been saved several times?"
        r"\b(?:saved|compressed|exported) (?:\w+ )?(?:again|twice|several times|more than once|many times|before)\b",
        # "How often was it saved?"
        r"\bhow (?:often|many times) (?:was|has|is) (?:it|this|the \w+) (?:been )?(?:saved|compressed|exported|"
        r"copied)\b",
        # "Was it on Facebook?"
        r"\b(?:downloaded|whats ?app|facebook|instagram|telegram|twitter|tik ?tok|you ?tube|social media|messenger|"
        r"upload(?:ed)?)\b",
        # "Is there any EXIF data?"
        r"\b(cameras?|lens|exif|meta ?data|gps|c2pa|content credentials?|provenance|thumbnail|serial number)\b",
        r"\b(which|what) (phones?|software|programs?|app|editor)\b",  # "Which software was used?"
        r"\bwhat does the file say\b",  # "What does the file say?"
        # "When was this portrait taken?"
        rf"\b(when|where|with what) (was|were|is) (it|this|that|(?:the|this|that) (?:\w+ )?{_MEDIUM}) (taken|shot|"
        r"saved|edited|made|recorded|filmed)\b",
    )
)

# Whether what came by WhatsApp is fake is asked of the picture, and not of the file
_OF_LABEL = re.compile(
    rf"\b{_ASKS} (?:it|this|that|he|she|(?:the|this|that) (?:\w+ ){{0,3}}?(?:{_MEDIUM}|{NOUN}))(?: \w+){{0,2}}? "
    rf"(?:an? )?"
    r"(?:deep ?)?(?:fake[sd]?|forge[ds]?|forger(?:y|ies)|real|genuine|authentic|manipulated|doctored)\b"
)

# Small words that only one of these languages has, enough to tell that a question is not English.
_ENGLISH = frozenset(
    re.findall(
        r"\w+",
        """a an and any are at be by can could did do does for from he her his how i if in is it its looks made more my
        nose not of on or picture photo she should that the their there these they this those to was we were what when
        where which who why will with would you your face faces fake image about""",
    )
)
_FOREIGN = (
    frozenset(
        re.findall(
            r"\w+",
            # German and Dutch; French; Spanish; Portuguese; Italian; Polish, Czech and Turkish; Swedish, Danish,
            # Norwegian, Finnish and Hungarian; Romanian, Indonesian and Vietnamese
            """ist das der dem den ein eine einer und nicht wie warum gesicht bild wurde sind auch oder mit
            het een nep echt neus deze dit dat niet waarom hoe gezicht zijn en van
            le la les des du un une est cette ce ces pourquoi comment visage et ou qui avec elle il
            el los las una uno esta este esto es son por porque como cara rostro foto quien verdadero falso falsa
            o os um uma isto isso não nao e que quem rosto verdadeira
            il lo gli di che è questo questa perché perche viso volto vero
            czy to jest twarz dlaczego nie je tohle obličej proč bu yüz sahte mi mı gerçek nedir neden
            är det ansiktet varför er dette ansigtet hvorfor ikke onko tämä kasvot miksi ez az arc hamis
            aceasta fața fals apakah wajah ini palsu mengapa có phải không""",
        )
    )
    - _ENGLISH
)
_ASKS_REAL = re.compile(rf"\b{_REAL}\b")
_ASKS_FAKE = re.compile(
    r"\b(fake\w*|deep ?fake\w*|forg\w*|manipulat\w*|tampered|edit(?:ed|s|ing)|alter(?:ed|ations?)|retouch(?:ed|ing)|"
    r"photoshop\w*|swapped|replaced|changed|modified|wrong|odd|"
    r"doctored|false|bogus|phony)\b",
)
_THERE = re.compile(
    r"\b((?<!\bis )(?<!\bare )(?<!\bwas )(?<!\bwere )there|(this|that) (place|region|part|area|one)|them|they)\b"
)

_MOMENT = re.compile(
    r"\b(?:(\d{1,2}):)?(\d{1,3}):(\d{2}(?:\.\d{1,3})?)\b|"
    r"(?:\b(?:at|after|around|by|and) |^)(?:about |around )?(\d{1,6}(?:\.\d{1,3})?) ?(?:s|secs?|seconds?)\b|"
    r"\bsecond (?:number |no\.? ?|#)?(\d{1,6}(?:\.\d{1,3})?)\b"
)
_FRAME = re.compile(
    r"\bframes? (?:number |no\.? ?|#)?(\d{1,9})(?: ?(?:to|and|or|through|[-–]) ?(\d{1,9}))?\b|"
    r"\b(first|last|final) frame\b"
)


def asked(question: str) -> str:
    """The question without what stands around it.

    Args:
        question: As it was asked.

    Raises:
        InputError: For none, and one of more than MOST characters.
    """
    question = question.strip()
    if not question:
        raise InputError('expected a question, such as "Is the nose fake?", got an empty one')
    if len(question) > MOST:
        raise InputError(f"expected a question of at most {MOST:,} characters, got one of {len(question):,}")
    return question


_TOLD_APART = re.compile(  # where a sentence ends; not behind "no. 2", "Mr. Smith" and "e.g. this"
    r"(?<![Nn]o\.)(?<!\bMr\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bMrs\.)(?<!\bSt\.)(?<!\bvs\.)(?<!\be\.g\.)(?<!\bi\.e\.)"
    r"(?<=[.!?…])[\s\"')\]]+|\n+"
)
_WHO_ELSE = re.compile(rf"\b(?:{NOUN}|left|right|middle|first|second|third|last|\d+)\b")
# "This came by WhatsApp, is it fake?": what is told before a question, by its subject and its verb
_TOLD_BEFORE = re.compile(
    r"^(?:i|we|he|she|they|it|this|that|my|our|some(?:one|body)|an?|the)\b[^?]{0,300}?\b(?:am|is|are|was|were|has|have|had|"
    r"came|comes?|got|gets?|received?|sent|sends?|found|finds?|saw|sees?|says?|said|thinks?|thought|believes?|told|posted|"
    rf"shared|downloaded|took|want|need|wonder)\b[^?]{{0,300}}?[,;:–—-]+ ?(?=(?:so |and |but |now )?(?:{_ASKS}|can|"
    rf"could|"
    r"what|where|when|why|how|which|who)\b)"
)


def parts(question: str) -> tuple[str, ...]:
    """The questions of a text, each by itself: courtesies and what is told beside them are none.

    What is told stays where it says whom or what is meant ("I mean the man on the left. Is he fake?"), or what is
    supposed ("This is fake. Where?"): then it is one question.

    Args:
        question: As it was asked.
    """
    sentences = [part for part in _TOLD_APART.split(question) if part.strip() and courtesy(part) is None]
    asks = [part for part in sentences if part.rstrip("\"')] ").endswith("?")]
    statements = [part for part in sentences if part not in asks]
    if not asks or any(_says_what_is_meant(part) for part in statements):
        asks = [" ".join(sentences) if sentences else question]
    return tuple(_without_told(part) for part in asks)


def _says_what_is_meant(text: str) -> bool:
    plain = normal(text)
    if asked_regions(text) or supposed(text) is not None or re.search(_IF, plain) or moments_asked_for(text):
        return True
    return bool(_WHO_ELSE.search(plain))


def _without_told(question: str) -> str:
    before = _TOLD_BEFORE.match(normal(question))
    if before is None or len(normal(question)) != len(question) or _says_what_is_meant(before[0]):
        return question
    return question[before.end() :]


_COURTESIES = {
    "You are welcome.": r"(?:many |so many |oh )?(?:thanks|thank you|thx|cheers|ta|much appreciated)(?: a lot| a "
    "bunch| "
    r"so much| very much| again| anyway| you| for \w+(?: \w+)?)*",
    "Hello.": r"hello|hi|hey|good (?:morning|day|afternoon|evening)|greetings",
    "Goodbye.": r"bye|bye bye|goodbye|good night|see you(?: later| soon)?|farewell",
    "All right.": r"(?:good|great|nice|well) (?:job|work|done)|ok|okay|all right|alright|fine|great|good|perfect|"
    "nice|cool|wow|super|excellent|wonderful|amazing|"
    r"interesting|i see|understood|i understand|got it|right|sure|sorry|please|excuse me|well|hm+|oh|ah|aha|no problem|"
    r"(?:that(?:'s| is)|this is) (?:all|it|enough|good|great|fine|helpful|clear|nice|interesting|very helpful)|"
    r"never ?mind|no more questions|there|facewitness|everyone|all|sir|madam",
}
_COURTESY = {answer: re.compile(rf"(?:{words})\b") for answer, words in _COURTESIES.items()}


def courtesy(text: str) -> str | None:
    """What is said back to a courtesy: "Thanks", "Hello!", "OK, good job."; None for a text that holds anything else.

    Args:
        text: Any text.
    """
    rest = " ".join(re.findall(r"[\w']+", normal(text)))
    if not rest and re.search(r"\w|\?", text):
        return None
    answers: list[str] = [] if rest else ["All right."]
    while rest:
        fits = ((m.end(), answer) for answer, pattern in _COURTESY.items() if (m := pattern.match(rest)))
        end, answer = max(fits, default=(0, ""))
        if not end:
            return None
        answers.append(answer)
        rest = rest[end:].lstrip()
    return next(answer for answer in _COURTESIES if answer in answers)


_KNOWN_WORDS = frozenset(
    (
        "fake faker real forged forgery genuine authentic manipulated edited altered retouched swapped changed "
        "generated deepfake verdict result how sure certain probability likely evidence explain signs region mask film "
        "video people person camera metadata wrong reliable mistake publish next inconclusive threshold quality "
        "original suspicious summary second frame moment many much other left right middle "
        + " ".join((*_ENGLISH, *map(regions.title, regions.REGIONS)))
    ).split()
)


# What a pattern asks for is no slip of the pen: "take" is not "fake"
_IN_PATTERNS = frozenset(re.findall(r"[a-z]{3,}", " ".join((*INTENTS.values(), *UNEXAMINED.values(), _FILE.pattern))))


def respelt(question: str) -> str:
    """The question with each word that is nearly one of those that questions are made of written as that one.

    A word that is as near to two of them stays: a note is neither a nose nor not.

    Args:
        question: That was not understood.
    """

    def near(match: re.Match[str]) -> str:
        word = match[0]
        if len(word) < 3 or word in _KNOWN_WORDS or word in _IN_PATTERNS:
            return word
        if not _is_slip(word):
            return word
        nearest = min(_edits(word, known) for known in _KNOWN_WORDS)
        meant = [known for known in _KNOWN_WORDS if _edits(word, known) == nearest]
        return meant[0] if len(meant) == 1 else word

    return re.sub(r"[a-z]+", near, normal(question))


def _is_slip(word: str) -> bool:
    most = 2 if len(word) > 6 else 1
    near = (known for known in _KNOWN_WORDS if _edits(word, known) <= most)
    # of three letters, only what lacks one or has two swapped: "hat" is not "that"
    return any(
        len(word) > 3 or sorted(word) == sorted(known) or (len(known) > 3 and word[0] == known[0]) for known in near
    )


def _edits(word: str, other: str) -> int:
    """How many letters were left out, put in, taken for another or swapped with their neighbour; 9 for many."""
    if abs(len(word) - len(other)) > 2:
        return 9
    before, row = list[int](), list(range(len(other) + 1))
    for i, letter in enumerate(word, 1):
        earlier, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and word[i - 2 : i] == wanted + other[j - 2]:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
    return row[-1]


def intent(question: str) -> str:
    """The first of INTENTS that fits; "" where none does.

    Args:
        question: As it was asked.
    """
    return next((name for name, pattern in _PATTERNS.items() if pattern.search(normal(question))), "")


_GRANTS = re.compile(
    r"^(?:please )?(?:prove|show (?:me )?(?:why|how|that)|explain (?:why|how)|argue|convince|given|since|as we know|"
    r"now that|why (?:is|are|was)|(?:this|it|that) is (?:an?|clearly|obviously|surely|definitely)|we (?:all )?know)\b"
)
_KNOWN = re.compile(r"^(?:given|since|as we know|now that|we (?:all )?know)\b")
_OPEN = re.compile(rf"\b(?:whether|{_FAKE} or (?:not|{_REAL})|{_REAL} or (?:not|{_FAKE}))\b")


def supposed(question: str) -> Literal["real", "fake"] | None:
    """Which answer a question takes for granted: "Prove that this is fake", "This is a real face. What …"; None: none.

    Args:
        question: what somebody asks, or tells. One that asks which of the two it is takes nothing for granted.
    """
    plain = normal(question)
    if not (_GRANTS.search(plain) or re.search(_IF, plain)) or _OPEN.search(plain):
        return None
    fake = bool(re.search(rf"\b(?:{_FAKE}|generated|synthetic|forged)\b", plain))
    real = bool(re.search(rf"\b{_REAL}\b", plain))
    denied = bool(re.search(r"\b(?:not|isn.?t|no)\b", plain))
    if fake == real:
        return None
    return "fake" if fake != denied else "real"


def demands(question: str) -> bool:
    """Whether it wants one answer proved, instead of asking: "prove that", "convince me", "argue that".

    Args:
        question: what somebody asks.
    """
    return bool(re.search(r"^(?:please )?(?:prove|argue|convince|show (?:me )?that)\b", normal(question)))


def granted(question: str) -> Literal["real", "fake"] | None:
    """Which answer a question begins with as if it were known: "Since this is fake, where …"; None where it does not.

    Args:
        question: what somebody asks.
    """
    return supposed(question) if _KNOWN.search(normal(question)) else None


def about_file(question: str) -> bool:
    """Whether it asks for what a file says of itself: its camera, its date, its software, its credentials.

    Args:
        question: As it was asked.
    """
    plain = normal(question)
    return bool(_FILE.search(plain)) and not _OF_LABEL.search(plain)


_FACTS = re.compile(
    r"\b(?:name|size|format|type|kind|(?:kilo)?bytes?|codecs?|jpe?g|png|web ?p|hei[cf]|avif|gif|tiff?|colou?r "
    r"profile|hash|checksum|sha-?256|fingerprint|pixels|megapixels?|megabytes?|resolution|"
    r"dimensions?|big|large|heavy)\b"
)


def of_facts(question: str) -> bool:
    """Whether it asks for what a file is: its name, its size, its hash.

    Args:
        question: About a file.
    """
    return bool(_FACTS.search(normal(question)))


_OF_CAMERA = re.compile(
    r"\b(?:exif|meta ?data|cameras?|lens|phones?|software|programs?|editor|gps|taken|shot|iso|aperture|shutter|"
    r"exposure|"
    r"focal length)\b"
)


def of_camera(question: str) -> bool:
    """Whether it asks for what a camera or a program wrote into a file.

    Args:
        question: About a file.
    """
    return bool(_OF_CAMERA.search(normal(question)))


def of_edits(question: str) -> bool:
    """Whether it asks if something was edited: of that the file may say something, too.

    Args:
        question: As it was asked.
    """
    return bool(
        re.search(r"\b(?:edit\w*|photoshop\w*|retouch\w*|alter(?:ed|ations?)|modified|changed)\b", normal(question))
    )


def of_original(question: str) -> bool:
    """Whether it asks if a file is the original, or was saved or changed since.

    Args:
        question: About a file.
    """
    return bool(re.search(r"\boriginal\b|\b(?:edited|changed|altered|modified)\b", normal(question)))


def asks_real(text: str) -> bool:
    """Whether it speaks of being real.

    Args:
        text: Any text.
    """
    return bool(_ASKS_REAL.search(normal(text)))


def points_back(question: str) -> bool:
    """Whether it asks about a place by pointing at what was spoken of: "there", "that part", "they".

    Args:
        question: As it was asked.
    """
    return bool(_THERE.search(normal(question)))


_HALF = re.compile(  # of a face, not of a picture, and not as a viewer sees it
    r"(?<!'s )\b(left|right|upper|top|lower|bottom) (?:half|side|part|area|portion) of "
    r"(?:the|this|that|his|her|their|its|\w+'s) face\b"
)
_OF_HALF = {
    **{side: tuple(f"{side}_{name}" for name in ("eyebrow", "eye", "cheek", "jaw")) for side in ("left", "right")},
    **dict.fromkeys(("upper", "top"), ("forehead", "eyebrows", "eyes")),
    **dict.fromkeys(("lower", "bottom"), ("mouth", "chin", "jaw")),
}


def asked_regions(question: str) -> tuple[str, ...]:
    """The tree's regions a question names: a part by its own name ("upper lip"), else MARE's by its words.

    "Is this face fake?" asks about the face as a whole, not about a region.

    Args:
        question: As it was asked.
    """
    question = regions.under_eyes(normal(question))
    words = " " + re.sub(r"[\s_\-]+", " ", re.sub(r"[^\w\s\-]", " ", question)).strip() + " "
    own = [
        name
        for name, region in regions.REGIONS.items()
        if name not in ("face", "skin") and re.search(rf" {regions.title(name)}s? ", words)
    ]
    own = [a for a in own if not any(a != b and regions.title(a) in regions.title(b) for b in own)]
    if "skin" in words.split():
        own.append("skin")
    without_face = re.sub(r"\b(lower |whole |entire )?faces?\b", " ", question)
    without_face = re.sub(r"\b(left|right)[\s_\-]+under[\s_\-]+eyes?\b", " ", without_face)  # named already, and no eye
    named = [
        n for n in regions.mentioned(without_face) if not any(regions.within(o, n) or regions.within(n, o) for o in own)
    ]
    halves = [place for side in _HALF.findall(question) for place in _OF_HALF[side]] if not own and not named else []
    return tuple(dict.fromkeys([*own, *named, *halves]))


def unexamined(question: str) -> str | None:
    """What a question is about that nobody examined, in words; None where it is about nothing of the kind.

    Args:
        question: As it was asked.
    """
    plain = normal(question)
    if _NAMED.search(question):
        return "who it is"
    return next((name for name, pattern in _UNEXAMINED.items() if pattern.search(plain)), None)


# What a question for yes or no asks about: the words from "the" or "this" up to one of these.
_ENDS = (
    rf"(?:{_LABEL}|of|on|in|at|behind|next|with|without|from|to|for|by|who(?:se|m)?|that|which|and|or|but|a|an|the|is|are|"
    rf"was|"
    r"were|been|being|be|has|have|had|looks?|seems?|appears?|really|also|not|still|too|so|more|less|just|only|probably|"
    r"actually|maybe|perhaps|\w+ly|here|there|now|made|created|drawn|added|removed|put|inserted|generated|synthetic|ai|"
    r"ai-\w+|computer-\w+|cgi|artificial|above|below|under|near|beside|between|wearing|holding|taken|as|if|wrong|odd|"
    r"natural|unnatural|normal|suspicious|strange|weird|fishy|off|convincing)"
)
_SUBJECT = re.compile(
    rf"(?:^\W*|\b(?:{_ASKS}|if|whether|that|think|believe|say) )(?:the|this|that|these|those|his|her|their|its|my|our) "
    rf"((?:(?!{_ENDS}\b)[\w'-]+ ){{1,5}})(?={_ENDS}\b)"
)
_OF_PICTURE = re.compile(
    r"(?:pictures?|photo\w*|images?|shots?|snap\w*|pics?|selfies?|portraits?|headshots?|mugshots?|videos?|films?|"
    r"clips?|"
    r"footage|recordings?|movies?|files?|frames?|jpe?gs?|pngs?|scans?|screen ?shots?|things?|whole|lot|scene|content|"
    r"media|material|posts?|cop(?:y|ies)|version)"
)
_OF_ALL = re.compile(
    r"\bsummar\w*|\bsum (?:it |this |that )?up\b|\boverview\b|\bin (?:short|one sentence|a nutshell)\b|\bshort "
    r"version\b|\btell me everything\b|"
    r"\btl;?dr\b|^what(?: is|'s| was) (?:the|your) (?:verdict|result|conclusion|outcome|answer)\W*$"
)
_OF_VERDICT = re.compile(r"(?:verdicts?|results?|answers?|conclusions?|judge?ments?|decisions?|reports?|analys[ie]s)")
_OF_FACE = re.compile(
    rf"(?:{NOUN}|humans?|adults?|teenagers?|couple|pair|group|bride|groom|mother|father|son|daughter|wife|husband|"
    r"expressions?|smiles?|grins?|looks?|gaze|make-?up|complexion|wrinkles?|freckles?|moles?|scars?|pores|features?|"
    r"likeness|appearance|identity|pose|profiles?|verdicts?|results?|answers?|conclusions?|scores?|reports?|evidence|"
    rf"findings?|signs?|analysis|decision|others?|rest|(?:left|right)(?:most)?|last|(?:\w+-)?{NTH})"
)


def subject(question: str) -> str:
    """What a question for yes or no asks about, without its article: "left half" of "Is the left half real?"; or "".

    Args:
        question: As it was asked.
    """
    match = _SUBJECT.search(re.sub(r"\s+", " ", normal(question)))
    return match[1].strip() if match else ""


def of_picture(question: str) -> bool:
    """Whether it asks about the picture, or film, as a whole: "Is this photo real?".

    Args:
        question: As it was asked.
    """
    words = subject(question).split()
    if words:
        return bool(_OF_PICTURE.fullmatch(words[-1]))
    return bool(re.search(rf"\b(?:for|of|on|about) (?:the |this )(?:whole |entire )?{_MEDIUM}\b", normal(question)))


def of_all(question: str) -> bool:
    """Whether it asks for the whole result: "What is the verdict?", "Summarise the report".

    Args:
        question: As it was asked.
    """
    return bool(_OF_ALL.search(normal(question)))


def of_verdict(question: str) -> bool:
    """Whether it asks which verdict was given, not about a face: "Is the verdict fake?", "Is the result inconclusive?".

    Args:
        question: As it was asked.
    """
    words = subject(question).split()
    return bool(words) and bool(_OF_VERDICT.fullmatch(words[-1]))


def labels_named(question: str) -> tuple[Label, ...]:
    """The verdicts that a question names: real, fake, inconclusive; "not sure" and "undecided" are the last.

    Args:
        question: As it was asked.
    """
    plain = normal(question)
    words: dict[Label, str] = {
        "real": rf"\b(?:{_REAL}|no sign)\b",
        "fake": rf"\b{_FAKE}\b",
        "inconclusive": r"\b(?:inconclusive|undecided|uncertain|unsure|unclear|unknown|not (?:so |very |"
        r"quite )?(?:sure|certain|decided)|"
        r"no verdict|can(?:not|'t) (?:decide|tell|say))\b",
    }
    return tuple(label for label, pattern in words.items() if re.search(pattern, plain))


def of_them(question: str) -> bool:
    """Whether it asks about "them": "Are they real?". Who that is, what was said before tells.

    Args:
        question: As it was asked.
    """
    return bool(re.match(r"(?:and |so |but )?(?:are|were) they\b", normal(question)))


def of_each(question: str, names: Sequence[str]) -> tuple[str, ...]:
    """The regions of a question, those on both sides each by itself where each is asked for: "Are both eyes fake?".

    Args:
        question: As it was asked.
        names: Of the regions that it names.
    """
    if not re.search(r"\b(?:both|each|either|every|all|which|what)\b", normal(question)):
        return tuple(names)
    sides = {
        name: [n for n, r in regions.REGIONS.items() if r.parent == name and n in (f"left_{x}", f"right_{x}")]
        for name in names
        for x in (name.removesuffix("s"),)
    }
    return tuple(part for name in names for part in (sides[name] if len(sides[name]) == 2 else [name]))


def of_everybody(question: str, names: Sequence[str]) -> bool:
    """Whether it asks for a region of all the people: "Whose nose is fake?", "Are the mouths real?", "Which nose …?".

    Args:
        question: As it was asked.
        names: Of the regions that it names.
    """
    plain = normal(question)
    one = [regions.title(name) for name in names if not regions.title(name).endswith("s")]
    several = "|".join(re.escape(title) for title in one) or r"(?!)"
    return bool(
        re.search(r"\bwhose\b|\b(?:(?:every|any|some)(?:body|one))'s\b", plain)
        or re.search(r"\b(?:of|for|on) (?:both|all|each|everybody|everyone)\b(?! (?:sides|the face))", plain)
        or re.search(rf"\b(?:{several})e?s\b|\b(?:which|both|all|each|every|any) (?:\w+ )?(?:{several})\b", plain)
        or re.search(rf"\b(?:all|both|each|every|any)\b.*\b{NOUN}\b(?! (?:\d|number|no\.))", plain)
    )


def of_place(question: str) -> bool:
    """Whether it asks where a region lies in the picture: "Where exactly is the mouth?", "coordinates of the nose".

    Args:
        question: That names a region.
    """
    plain = normal(question)
    where = r"^(?:and )?where (?:exactly |precisely )?(?:is|are) (?:the|his|her|their|its) [\w' -]{1,60}\W*$"
    return bool(
        _PATTERNS["place"].search(plain) or (re.search(where, plain) and not re.search(rf"\b{_LABEL}\b", plain))
    )


_ONE_OF_TWO = re.compile(
    r"^(?:and |so |but |ok |what about |how about |is |are |on |the )*(left|right|other|both)(?: ones?| side| of them)?"
    rf"(?: too| as well)?(?: {_LABEL})?\W*$"
)


def side(question: str) -> Literal["left", "right", "other", "both"] | None:
    """Which of two it asks for without a name: "And the left one?", "The other, too?", "Both?"; None: anything else.

    Args:
        question: As it was asked.
    """
    match = _ONE_OF_TWO.match(normal(question))
    return cast('Literal["left", "right", "other", "both"]', match[1]) if match else None


def of_nothing_else(question: str) -> bool:
    """Whether it asks for a place and no other: "Is only the mouth fake?".

    Args:
        question: As it was asked.
    """
    return bool(re.search(r"\b(?:only|just|alone|solely|nothing but)\b", normal(question)))


def thing(question: str) -> str:
    """What it asks about that is no face, none of its parts and no picture: "flag" of "Is the flag fake?"; or "".

    Which words mean a face is a list; a word beside it may still mean a person ("the sailor"), so the answer says so.

    Args:
        question: As it was asked.
    """
    words = subject(question)
    last = words.rpartition(" ")[2]
    of_face = re.search(
        rf"{re.escape(last)} of (?:(?:the|this|that|his|her|their) )?(?:\w+ )?(?:face|head)\b", normal(question)
    )
    if not words or _OF_PICTURE.fullmatch(last) or _OF_FACE.fullmatch(last) or of_face or asked_regions(question):
        return ""
    return words


_NAME = re.compile(r"^(?:And |So |But )?(?:Is|Was|Are|Does|Did|Has) ((?:[A-Z][\w'’-]*)(?: [A-Z][\w'’-]*)*)")
_NO_NAMES = frozenset(
    re.findall(
        r"\w+",
        """ai a i this that it he she they the there these those his her their any anybody anyone everybody everyone
        nobody no none all both each one some somebody someone face faces person people picture photo you we""",
    )
)


def names_somebody(question: str) -> bool:
    """Whether it asks about somebody by a name: "Is Angela Merkel fake?". Who anybody is was not examined.

    Args:
        question: As it was asked; in capitals throughout, names cannot be told.
    """
    match = _NAME.match(question)
    if match is None or not re.search(r"[a-z]", question[match.end() :]):
        return False
    return not _NO_NAMES & set(match[1].lower().split())


def is_english(question: str) -> bool:
    """Whether a question can be English: by its letters, and by the small words that are in it.

    Args:
        question: As it was asked.
    """
    letters = [c for c in question if c.isalpha()]
    latin = sum(unicodedata.name(c, "").startswith(("LATIN", "FULLWIDTH LATIN", "MATHEMATICAL")) for c in letters)
    if letters and latin < len(letters) / 2:
        return False
    words = re.findall(r"[^\W\d_]+", normal(question))
    return sum(word in _FOREIGN for word in words) <= sum(word in _ENGLISH for word in words)


def has_english(question: str) -> bool:
    """Whether a word of a question is one that English questions are made of.

    Args:
        question: As it was asked.
    """
    return any(word in _KNOWN_WORDS or word in _IN_PATTERNS for word in re.findall(r"[^\W\d_]+", normal(question)))


_MOMENTS = 8  # that an answer tells of
_CLOCK = (
    r"(?:(?:(?P<h{n}>\d{{1,2}}):)?(?P<m{n}>\d{{1,3}}):(?P<s{n}>\d{{2}}(?:\.\d{{1,3}})?)|"
    r"(?P<p{n}>\d{{1,6}}(?:\.\d{{1,3}})?){unit})"
)
_SECONDS = r" ?(?:s|sec|secs|seconds?)"
_BETWEEN = re.compile(
    rf"\b(?:between |from )?(?:the |second )?{_CLOCK.format(n=1, unit=f'(?:{_SECONDS})?')}(?: and | to | until |"
    rf" till | through | ?[-–] ?)(?:the |second )?{_CLOCK.format(n=2, unit=_SECONDS)}\b(?! (?:from|of|faces?|people))"
)
_SECONDS_TO = re.compile(
    rf"\bseconds? {_CLOCK.format(n=1, unit='')}(?: and | to | until | till | through | ?[-–] ?)(?:second )?"
    rf"{_CLOCK.format(n=2, unit='')}(?!\.?\d| (?:from|of|faces?|people))"
)
_BEFORE = re.compile(rf"\b(?:before|until|till|up to) {_CLOCK.format(n=1, unit=_SECONDS)}\b")
_AFTER = re.compile(rf"\b(?:after|since|from) {_CLOCK.format(n=1, unit=f'{_SECONDS} on')}")
_PART = re.compile(
    rf"\b(?P<which>{NTH}|last|opening|closing|final) (?:(?P<count>\d{{1,6}}(?:\.\d{{1,3}})?) )?"
    r"(?P<unit>seconds?|half|third|quarter|minutes?|frames?)\b|"
    r"\b(?:at|in|near|towards?|about) the (?:very )?(?P<end>start|beginning|end)\b(?! of (?:the|his|her) (?:nose|"
    r"eye\w*|"
    r"mouth|row))|"
    r"\b(?:in|at|around) the (?P<middle>middle)(?: of the (?:film|video|clip|movie|recording|footage)\b|\W*$)"
)
_UNITS = {"second": 1.0, "seconds": 1.0, "minute": 60.0, "minutes": 60.0}
_COUNTS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_COUNTED = re.compile(
    rf"\b(?:({'|'.join(_COUNTS)})(?= (?:secs?|seconds?|minutes?|frames?)\b)|(?<=\bsecond )({'|'.join(_COUNTS)})\b|"
    rf"(?<=\bframe )({'|'.join(_COUNTS)})\b)"
)


def _timed(question: str) -> str:
    """The question in small letters, with the numbers of seconds and frames in digits."""
    return _COUNTED.sub(lambda m: str(1 + _COUNTS.index(next(filter(None, m.groups())))), normal(question))


def _second(match: re.Match[str], n: int) -> float:
    plain = match[f"p{n}"]
    if plain is not None:
        return float(plain)
    return 3600 * int(match[f"h{n}"] or 0) + 60 * int(match[f"m{n}"]) + float(match[f"s{n}"])


def stretch_asked_for(question: str, length: float) -> tuple[float, float] | None:
    """The part of a film that a question names, in seconds: "between 0:01 and 0:02", "the last second", "at the end".

    The beginning, the middle and the end are a third of it each.

    Args:
        question: As it was asked.
        length: Of the film, in seconds.

    Returns:
        Its first and last second; None where none is named.
    """
    plain = _timed(question)
    if two := _BETWEEN.search(plain) or _SECONDS_TO.search(plain):
        first, last = sorted((_second(two, 1), _second(two, 2)))
        return (first, last) if first < last else None
    if before := _BEFORE.search(plain):
        return 0.0, _second(before, 1)
    if after := _AFTER.search(plain):
        return _second(after, 1), max(length, _second(after, 1))
    part = _PART.search(plain)
    if part is None or (part["unit"] or "").startswith("frame"):
        return None
    if part["middle"]:
        return length / 3, 2 * length / 3
    if part["end"]:
        return (2 * length / 3, length) if part["end"] == "end" else (0.0, length / 3)
    late, much = part["which"] in ("last", "closing", "final"), float(part["count"] or 1)
    nth = 1 if late or part["which"] == "opening" else ordinal(part["which"])
    share = {"half": length / 2, "third": length / 3, "quarter": length / 4}.get(part["unit"])
    wide = much * _UNITS[part["unit"]] if share is None else share
    if late:
        return max(0.0, length - wide), length
    end = nth * wide  # where the next part begins, which has that moment
    return end - wide, max(end - wide, length) if end >= length else math.nextafter(end, 0)


def frames_asked_for(question: str) -> tuple[int, ...]:
    """The frames of a film that a question names by their numbers, from 0; -1 is the last.

    Args:
        question: As it was asked.
    """
    numbers: list[int] = []
    for match in _FRAME.finditer(_timed(question)):
        numbers += [int(number) for number in match.groups()[:2] if number]
        numbers += [0 if match[3] == "first" else -1] if match[3] else []
    return tuple(dict.fromkeys(numbers))[:_MOMENTS]


def moments_asked_for(question: str) -> tuple[float, ...]:
    """Every moment of a film that a question names, in seconds: "at 0:14", "at 1:02:03", "after 14 seconds".

    Args:
        question: As it was asked.
    """
    plain = _timed(question)
    seconds = (
        float(match[4] or match[5])
        if match[3] is None
        else 3600 * int(match[1] or 0) + 60 * int(match[2]) + float(match[3])
        for match in _MOMENT.finditer(plain)
    )
    return tuple(dict.fromkeys(seconds))[:_MOMENTS]


_NOT = re.compile(
    rf"(?<!\bor )(?<!\bif )(?<!\bwhy )\bnot (?!sure\b|certain\b)(?=\w)|"
    rf"\b(?:{_NONE}|nothing|never|no(?! doubt| question| idea| matter) \w+)\b"
)


def yes_or_no(question: str, forged: bool) -> str:
    """ "Yes. " or "No. " as the question was put, or nothing where it was put neither way, or both ways.

    Of "is it not fake?" and "is nobody fake?" nobody can tell what "no" says, so they get neither; "isn't it fake?" and
    "real or not?" do.

    Args:
        question: As it was asked.
        forged: The answer to "is it fake?".
    """
    real, fake = asks_real(question), bool(_ASKS_FAKE.search(normal(question)))
    if real == fake or _NOT.search(normal(question)):
        return ""
    return "Yes. " if fake == forged else "No. "
