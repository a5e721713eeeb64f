"""What questions ask for, by patterns of words: one a kind of sentence, beside it a question of that kind.

`INTENTS` are what an answer is about, `UNEXAMINED` what nobody looked at, `FILE` what a file says of itself.
"""

from __future__ import annotations

import re

from facewitness.people import NOUN


def _any(*kinds: str) -> str:
    """One pattern of several, each for a kind of sentence; beside it stands a question of that kind."""
    return "|".join(kinds)


FAKE = (
    r"(?:fake[sd]?|deep ?fake[sd]?|forge[ds]?|forger(?:y|ies)|manipulat\w*|tampered|edit(?:ed|s|ing)|alter(?:ed|"
    r"ations?)|retouch(?:ed|ing)|photoshop\w*|swapped|replaced|changed|modified|doctored|false|bogus|phony)"
)
REAL = r"(?:real|genuine|authentic|pristine|legit\w*|true|untouched|unaltered|original)"
LABEL = rf"(?:{FAKE}|{REAL}|inconclusive|undecided)"
IF = (
    r"\b(?:suppos\w*|assum\w*|imagin\w*|(?<!tell )(?<!know )(?<!see )(?<!say )"
    r"(?<!me )(?<!us )(?<!check )(?<!out )(?<!sure )(?<!wonder )(?<!wondering )(?<!decide )(?<!judge )(?<!asks )"
    r"(?<!ask )(?<!certain )if)\b"
)
_TOOLS = (
    r"(?:mid ?journey|dall[ -·]?e\d*|stable ?diffusion|sdxl|flux|firefly|imagen|gemini|chat ?gpt|gpt\S*|sora|veo|grok|"
    r"ideogram|runway|kling|comfy ?ui|style ?gan\d*|deep ?face ?(?:lab|live)|face ?(?:app|tune)|roop|lightroom|gimp|"
    r"snapseed|picsart|meitu)"
)
_KIN = (
    r"(?:mother|mom|mum|father|dad|son|daughter|child|kid|baby|brother|sister|wife|husband|partner|boyfriend|"
    r"girlfriend|friend|boss|colleague|neighbou?r|uncle|aunt|cousin|nephew|niece|grand(?:ma|pa|mother|father|son|"
    r"daughter)|teacher|doctor|ex)"
)
_AI = r"(?:ai|artificial intelligence|a machine|a computer|a (?:neural )?network|a generator)"
MEDIUM = r"(?:photo\w*|picture|image|film|video|file|clip|shot|recording|portrait|selfie)"
_FILM = r"(?:film|video|clip|footage|recording|movie)\b"
_OTHER = (  # who else may have said something of a picture
    r"(?:tools?|detectors?|programs?|software|apps?|websites?|sites?|experts?|colleagues?|friends?|editors?|boss|"
    r"analysts?|lab|models?|ai|checkers?|fact[ -]?checkers?|photographer|source|police|everybody|everyone|they)"
)
_GROUP = (  # of people, about whom one asks how often a verdict is wrong
    r"(?:children|kids|babies|teenagers|women|men|old(?:er)? (?:people|faces)|young(?:er)? (?:people|faces)|"
    r"(?:black|white|asian|african|dark(?:er)?|light(?:er)?|brown|indian|latino|hispanic)[ -]"
    r"(?:people|persons|faces|women|men|skin\w*|users)|people (?:with|of))"
)
ASKS = r"(?:is|are|was|were|do|does|did|has|have)(?:n't)?"  # how a question for yes or no begins
_SO_MANY = r"(?:one|two|three|four|five|six|seven|eight|nine|ten|\d{1,4})"
NONE = rf"(?:nobody|no one|none|neither|no(?: \w+)? {NOUN})"  # of such a question nobody can tell what "yes" says
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
_SOMEBODY = (
    rf"(?:he|she|they|(?:the|this|that|these|those|any|every|some) (?:\w+ ){{0,2}}?{NOUN}(?: \d{{1,4}})?"
    rf"(?: (?:on|in|at) the \w+)?|{NOUN} \d{{1,4}}|(?:any|every|some)(?:body|one))"
)
_QUANTIFIED = rf"(?:(?:any|some|every)(?:one|body)|both|all {NOUN}|any(?: \w+)? {NOUN}|{NONE})"

# What questions ask for, in the order in which they are tried. A question that names a region asks about that region
# unless it asks for something that is not a face's.
INTENTS: dict[str, str] = {
    "rate": _any(
        r"\bbase[ -]?rates?\b|\bpriors?\b(?! to\b)|\bprevalence\b|\bbayes\w*",  # "What is the base rate?"
        # "What if only one in a hundred pictures is fake?"
        r"\b(?:if|when|where|suppos\w+|assum\w+|say)\b.*\b(?:\d[\d,]*|one|two|five|ten) (?:in|of|out of) (?:every |"
        r"an? )?(?:\d[\d,]*|ten|twenty|fifty|hundred|thousand|million)\b(?! (?:frames?|moments?|seconds?)\b).*"
        rf"\b{FAKE}\b",
        # "What if 2 % of them are fake?"
        rf"\b(?:if|when|where|suppos\w+|assum\w+)\b.*\b\d+(?:\.\d+)? ?(?:%|per ?cent)(?: of (?!it\b|(?:the|this|that|"
        rf"his|her) (?:\w+ )?(?:{_FILM}|{NOUN}\b|skin\b|picture\b|photo\b|image\b|nose|mouth|eyes?)).*)? "
        rf"(?:are|is|were) {FAKE}\b",
        # "If half of the pictures that I get are fake?"
        rf"\b(?:if|when|where|suppos\w+|assum\w+)\b.*\b(?:half|most|few|an? (?:third|quarter|fifth|tenth)) (?:of )?"
        rf"(?:\w+ ){{0,2}}(?:pictures|photo\w*s|images|videos|films|faces|files|uploads)\b.*\b{FAKE}",
        # "Fakes are rare: what then?"
        rf"\b{FAKE}(?: (?:pictures?|faces?|photos?|videos?|films?))? (?:is|are|were) (?:very |so |that |extremely |"
        r"quite )?(?:rare|uncommon|scarce|common|frequent)\b",
        rf"\bhow (?:rare|common|frequent) (?:are|is) {FAKE}\b",  # "How rare are deepfakes?"
        # "Does 99 % mean that 99 of 100 such pictures are fake?"
        r"\b\d+(?:\.\d+)? ?(?:%|per ?cent) means? (?:that )?(?:about )?\d+ (?:of|in|out of) \d+\b",
    ),
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
        r"\bcan (?:i|we) (?:see|have|get) the original\b",  # "Can I see the original?"
        # "Can you remove the beard?"
        r"\b(?:can|could|would|will) you (?:please )?(?:change|edit|remove|save|send|upload|mark|blur|make it|say "
        r"(?:it|that) in)\b",
        r"^(?:please )?say (?:it|that) in\b",  # "Say that in German."
        r"\b(?:what|which) version\b",  # "Which version is this?"
        # "Are you human?"
        r"\bare you (?:an? )?(?:\w+ ){0,2}(?:ai|bot|chatbot|human|person|machine|program|model)\b",
        # "Can you search the web?"
        r"\b(?:can|could|do|will) you (?:\w+ )?(?:search|google|look up|browse|analy[sz]e an?|do an?)\b",
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
        # "What does inconclusive mean?"
        r"\bwhat (?:does|do|did|is|are)\b(?!.*\bdo you mean(?: by (?:that|this|it))?\W*$).*\b(?:means?|meaning|"
        r"meant)\b",
        # "Does that mean that it is genuine?", "So 26 % means a quarter of the face?"
        rf"\b(?:inconclusive|undecided|{FAKE}|{REAL}|signs?|probabilit\w+|percentage|score|that|this|it|\d+(?:\.\d+)? ?"
        r"(?:%|per ?cent))\W* (?:really |then |just |also )?means?\b",
        # "Is the probability the share of the face that was changed?"
        r"\bis (?:the |that |this )?(?:probability|percentage|score|number|\d+(?:\.\d+)? ?%) (?:of forgery )?(?:the|a) "
        r"(?:share|part|fraction|percentage|amount|proportion)\b",
        # "Is 26 % of the face fake?"
        r"(?<!if )\b\d+(?:\.\d+)? ?(?:%|per ?cent) of (?:it|the (?:face|picture|photo|image|skin|pixels)|this|him|"
        r"her)\b",
        # "Is inconclusive the same as 50 %?"
        r"\b(?:inconclusive|undecided|no sign)(?: of forgery)? (?:is )?the same as\b",
        rf"\bdifference between\b.*\b{LABEL}\b",  # "What is the difference between fake and inconclusive?"
        # "Why is the interval so wide?", "Why 95 %?"
        r"\bwhy (?:is|are|was|were) (?:the |your |this |that )?(?:interval|range|thresholds?|limits?)\b",
        r"^(?:but |and |so )?why (?:\d+(?:\.\d+)? ?(?:%|per ?cent)|(?:the |this |that )?threshold)\W*$",
        # "What is a deepfake?", "What is C2PA?"
        r"^(?:and )?what(?:'s| is| are) (?:an? |the )?(?:deep ?fakes?|face[ -]?swaps?|c2pa|content credentials?|"
        r"provenance|exif|dfdc|faceforensics\W*|deepfacelive|style ?gan ?\d?|neuraltextures|log[ -]?odds|"
        r"time ?lines?)\W*$",
        # "How do I read the timeline?"
        r"\b(?:explain|how (?:do|can|should) (?:i|we|you) (?:read|understand)|how is)\b.*\btime ?line\b",
        r"\bmeaning of\b",  # "The meaning of calibrated?"
        r"\bdefin(e|ition)\b",  # "A definition of fake?"
        # "What is a witness?"
        r"\bwhat(('s)| is| are) (an? |the )?(inconclusive|calibrated|thresholds?|interval|probability of forgery|"
        r"mask|((very )?strong|moderate|weak) sign|findings?|witness(es)?|auc|compact|kfd|mare|regions?)\b(?! "
        r"(?:\w+ )?(?:of|in|on) )",
    ),
    "next": _any(
        r"\bwhat (should|shall|can|could|do|must|would) (i|we|you|one)\b.*\bdo\b",  # "What should I do next?"
        r"\bwhat('s| is| comes)? next\b",  # "What next?"
        r"\bnext steps?\b",  # "Any next steps?"
        r"\b(what|how) now\b",  # "What now?"
        r"\bwhat to do\b",  # "What to do?"
        r"\bwhat (should|can|do) (i|we) (check|try|look (at|for))\b",  # "What should I look for?"
        # "How do I find the original?"
        r"\bhow (?:can|could|do|does|should|would) (?:i|we|you|one) (?:find|get|trace|track down|search for|look "
        r"for)\b.*"
        r"\b(?:original|source|unedited|other copies)\b",
        r"\breverse[ -](?:image|picture|photo)\b|\b(?:google|bing|yandex|tin ?eye)\b",  # "Do a reverse image search."
        # "Which tool should I use besides?"
        r"\b(?:which|what|any) (?:other |further |second |more )?(?:tools?|methods?|programs?|detectors?|experts?|"
        r"services?)"
        r"(?: \w+)? (?:should|can|could|do|would|shall|must) (?:i|we|one)\b",
        r"\b(?:who|whom) (?:else )?(?:should|can|could|do) (?:i|we) (?:ask|turn to|contact)\b",  # "Who can I ask?"
        # "How can I verify that?"
        r"\bhow (can|could|do|should) (i|we) (check|verify|confirm|find out|make sure|prove)\b",
    ),
    "left": _any(
        # "Left from whose view?"
        r"\b(?:from )?(?:whose|which|what) (?:point of )?(?:view|perspective|left|right)\b",
        r"\bviewer'?s? (?:left|right|side|view)\b",  # "Is it the viewer's left?"
        # "Is left my left or hers?"
        r"\b(?:is|does|do you mean|are) (?:the )?(?:left|right)(?: (?:and|or) (?:left|right))?(?: mean)? (?:my|mine|"
        r"his|her|"
        r"hers|your|yours|the (?:subject|viewer|person|camera)\S*)\b",
        r"\b(?:which|what) side is (?:the |his |her |their )?(?:left|right)\b",  # "Which side is the left eye on?"
    ),
    "word": _any(
        # "How should I word it?"
        r"\bhow (?:should|can|could|do|would|must|shall|may) (?:i|we|one) (?:word|phrase|put|describe|quote|cite|"
        r"formulate|"
        r"express|report on)\b",
        r"\b(?:can|may|should|could) (?:i|we) (?:quote|cite)\b",  # "Can I cite this report?"
        r"\bwhat (?:headline|caption|wording|words|sentence)\b.*\b(?:use|write|print|choose|put)\b",  # "What headline?"
        r"\bwhat (?:should|can|could|may|do|shall) (?:i|we) (?:write|say|print|tell)\b",  # "What should I write?"
    ),
    "others": _any(
        # "Another tool says that it is real."
        rf"\b(?:another|other|different|second|my|our|the|an?|all|most) (?:\w+ ){{0,2}}?{_OTHER} (?:says|said|thinks|"
        r"claims|claimed|believes|told|calls|called|finds|found|disagrees|gives|gave|is sure|are sure)\b",
        # "Others say it is real."
        r"\b(?:experts|others|tools|detectors|people|websites) (?:say|claim|think|disagree)\b",
        r"\b(?:everybody|everyone|they|he|she|people|somebody) (?:says?|claims?|thinks?) (?:that )?(?:it|this|that)\b",
        r"\bwho (?:is|'s) right\b|\bdo you agree\b",  # "Do you agree with Hive?"
        r"\b(?:hive|truemedia|invid|snopes|sensity|reality defender|deepware|fotoforensics)\b",  # "What does Hive say?"
        # "I took this photo myself."
        r"\b(?:i|we) (?:myself |ourselves )?(?:took|shot|filmed|made|forged|faked|edited|created|photographed) "
        r"(?:it|this|that|the|him|her)\b",
        # "I know that it is real."
        r"^(?:(?:but|and|no|well|yes) )*(?:i|we) (?:do )?(?:know|swear|am (?:\w+ )?(?:sure|certain)|'m (?:\w+ "
        r")?(?:sure|certain)|'re sure|"
        r"are (?:sure|certain))\b(?! (?:if|whether|how|what|who|where|why|when))",
        r"\b(?:photo|picture|image|film|video|one|portrait) (?:of mine|of myself|that i (?:took|made|shot))\b",
        r"^(?:but |no |well )?(?:you are|you're|you were|you got (?:it|that|this)) (?:\w+ )?(?:wrong|mistaken|lying)\b",
        # "How do I report a mistake?"
        r"\bhow (?:can|do|could|should) (?:i|we) (?:report|tell|correct|complain|give)\b",
        r"\breport (?:a|this|the|an) (?:mistake|error|misjudge?ment|wrong|false)\b",
    ),
    "files": _any(
        # "How do I get a report?", "Can I see the mask?"
        r"\b(?:how|where|can|could|may) (?:do |can |could |may |does )?(?:i|we|you)\b.*\b(?:get|see|save|make|export|"
        r"download|open|print|view|show|draw|have|find|write|keep)\b.*\b(?:reports?|masks?|overlay|heat ?map|pdf|"
        r"html|json|"
        r"csv|conversation|answers)\b",
        # "… save this?"
        r"\bhow (?:do|can|could) (?:i|we) (?:save|export|print|keep|download) (?:this|that|it|them)\W*$",
        r"^(?:please )?(?:can|could|will|would) you (?:please )?(?:show|point)(?: me| it| to)?(?: it| that| where| "
        r"the \w+)?\W*$",
        r"^(?:please )?point (?:to|at|out|me)\b",  # "Point to it."
    ),
    "mind": _any(
        # "What would change your mind?"
        r"\b(?:change|changes|flip|turn|overturn|sway) (?:the |your |that |this )(?:verdict|mind|result|answer|"
        r"decision)\b",
        # "What would you need to be sure?"
        r"\bwhat (?:else |more )?(?:would|do|does|could|might) (?:you|it) (?:need|take|require|want)\b",
        # "What would make it conclusive?"
        r"\bwhat (?:\w+ )?(?:would|could|might) (?:make|convince|persuade|settle|decide|prove|show|help)\b",
        r"\bwhat (?:is|was|'s) (?:missing|lacking)\b",  # "What is missing?"
        # "Would a better photo help?"
        r"\b(?:would|could|will|does|might) (?!you\b)(?:\w+ ){1,4}?help\b",
    ),
    "groups": _any(
        r"\bbias\w*|\bracis\w*|\bdiscriminat\w+|\bfair(?:ness)?\b(?! (?:hair|skin))",  # "Are you biased?"
        # "Does it work for children?"
        rf"\b(?:works?|worse|better|wrong|err|accura\w+|reliab\w+|mistakes?|errors?|differ\w*|fails?) (?:\w+ )?"
        rf"(?:for|on|with|of|about|by|among) (?:\w+ )?{_GROUP}\b",
        r"\b(?:by|per|each|between) (?:skin|sex|gender|age|race|ethnic\w+|group)s?\b",  # "Errors by skin colour?"
    ),
    "publish": _any(
        # "Would this hold in court?", "Is that a crime?"
        r"\b(?:court|(?:il)?legal\w*|lawyers?|jury|admissib\w+|crimes?|criminal|defam\w+|libel\w*|slander\w*|lawsuit|"
        r"prosecut\w+|police|consent)\b",
        r"\bjudge (?:accept|believe|allow|admit)\w*\b",  # "Would a judge accept it?"
        r"\bgood enough (?:for|as|to be) (?:evidence|proof|print|publication)\b",  # "Is it good enough for evidence?"
        # "Should I correct my article?"
        r"\b(?:should|must|can) (?:i|we) (?:correct|retract|withdraw|delete|take down|pull) (?:\w+ )?(?:article|"
        r"story|post|"
        r"report|piece)\b",
        # "Can I publish this?"
        r"\b(can|may|should|could|shall|must|ok(ay)?|safe|allowed)\b(?! you\b)(?! it be\b).*\b(publish|print|post|"
        r"share|run|use|"
        r"air|broadcast|accuse|rely on|sue|fire|report (him|her|them|it))\b",
        r"\bfit (to|for) (print|publication)\b",  # "Is it fit to print?"
        # "Can I tell my readers that it is fake?"
        r"\b(?:can|may|should|could|shall|must) (?:i|we) (?:tell|say|write|claim|state|announce|call (?:it|this|him|"
        r"her|them))\b",
    ),
    "suppose_real": _any(
        rf"{IF}(?! you (?:had|have|were|must)\b).*\b{REAL}\b",  # "Assume it is genuine. What evidence do you have?"
        # "What evidence is there that it is real?"
        rf"\b(evidence|speaks?|argument\w*|reasons?)\b.*\b(for|that it is|it's)\b.*\b{REAL}\b",
        rf"\bcase (for|that)\b.*\b{REAL}\b",  # "What is the case for real?"
        rf"\bspeaks? against\b.*\b{FAKE}\b",  # "What speaks against it being fake?"
    ),
    "suppose_fake": _any(
        rf"{IF}(?! you (?:had|have|were|must)\b).*\b({FAKE}|synthetic)\b",  # "Suppose it is fake. Why?"
        rf"\b(evidence|speaks?|argument\w*)\b.*\bfor\b.*\b({FAKE}|manipulation)\b",  # "What speaks for a forgery?"
        rf"\bcase (for|that)\b.*\b{FAKE}\b",  # "What is the case for fake?"
        rf"\bspeaks? against\b.*\b{REAL}\b",  # "What speaks against it being real?"
    ),
    "sides": _any(
        r"\b(?:arguments?|evidence|reasons?|points?) (?:on|for) both sides\b|\bpros? and cons?\b",
        # "What speaks for either side?"
        r"(?<!\bon )(?<!\bat )\b(either|both|each) (sides?|cases?|hypothes[ei]s|ways)\b(?! of\b)",
        rf"\bwhy\b.*\b{LABEL} (wins?|won|stands?)\b",  # "Why did real win?"
        # "Why did that side win?"
        rf"\bwhy (did|does|has) (the )?({LABEL}|that|this|it)( case| side| answer)? (win|won|stand)\b",
    ),
    "length": _any(
        rf"\bhow long (?:is|was|does) (?:the|this|that|your) {_FILM}",  # "How long is the film?"
        r"\b(?:duration|running time) of\b",  # "The running time of the film?"
        # "How many frames are there?"
        r"\bhow many (?:frames|moments|seconds|minutes)\b(?!.*\b(?:fake|forged|real)\b)",
        # "Which frames did you look at?"
        r"\b(?:which|what|all|every|each) (?:the )?(?:frames?|moments?)\b(?! should\b).*\b(?:examin\w*|judged?|"
        r"look\w* at|check\w*|analy[sz]\w*)\b",
        r"\bframe ?rate\b|\bfps\b",  # "What is the frame rate?"
    ),
    "when": _any(
        # "Is every frame fake?"
        rf"\b(?:every|each|all|any)(?: of the)?(?: single)? (?:frames?|moments?|seconds?)\b.*\b{LABEL}\b",
        r"\b(?:which|what) (?:frames?|moments?) should\b",  # "Which frame should I look at?"
        r"\b(?:which|what)(?: \w+){0,3} (?:frames?|moments?)\b",  # "Which frame is the worst?"
        r"\bhow many (?:frames|moments|seconds)\b",  # "How many frames are fake?"
        # "Is it fake the whole time?"
        rf"\b{LABEL}\b.*\b(?:all the time|the (?:whole|entire) time|throughout|always|constantly|all along|from "
        r"(?:start|beginning) to (?:end|finish))\b",
        r"\b(?:worst|most suspicious) (?:moment|frame|part of the)\b",  # "Which is the worst moment?"
        # "What percentage of the film is fake?"
        r"\b(?:what|which) (?:percentage|per ?cent|share|fraction|proportion|portion|part) of (?:the |this |"
        rf"that ){_FILM}",
        # "Is the whole film fake?"
        r"\b(?:whole|entire|all of the|all of this|(?:only|just)(?: an?)? part of (?:the|this)|half of (?:the|"
        rf"this)) {_FILM}.*\b{LABEL}\b",
        rf"\b{LABEL}\b.*\bfrom the (?:start|beginning)\b",  # "Is it fake from the beginning?"
        r"\bflicker\w*",
        # "What does the timeline show?"
        r"^(?:the )?time ?line\W*$|\b(?:show|describe|see|what|how|anything|something)\b.*\btime ?line\b",
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
        rf"\b(which|what(?! (?:is|are|was|were) (?:chang|edit|alter|modif|replac|manipulat|retouch)))( of (the|these|"
        rf"those))?( {NOUN})?( is| are| was| were| looks?| seems?)( the)? {LABEL}( {NOUN})?\b",
        rf"\bwho('s| is| are| was| were| looks?| seems?)( the)? {LABEL}\b",  # "Who is fake?"
        # "Is everybody real except the left one?"
        rf"\b(is|are|was|were) (any|some|every)(one|body)\b.*\b{LABEL}\b",
        # "Are both of the eyes forged?"
        r"\b(is|are|was|were) (all|any|both|each|none|either|one)( of)?( the| these| those| them)?( "
        rf"\w+)? ?{NOUN}?\b.*\b{LABEL}\b",
        rf"\bhow many\b(?!.*\bdo you\b).*\b{LABEL}\b",  # "How many are fake?"
        # "Are the two people real?"
        rf"\b(are|were) (the|these|those)( {_SO_MANY})? (faces|people|persons|men|women|children)\b.*\b{LABEL}\b",
        # "Have any faces been swapped?"
        rf"\b{ASKS}( there)?( {_ABOUT})? ({_QUANTIFIED}|(they|these|those) (both|all))\b.*\b{LABEL}\b",
        rf"\b{ASKS} {_ABOUT} ({_SO_MANY})\b.*\b{LABEL}\b",  # "Are at most two fake?"
        rf"\b{ASKS} {_SHARE_OF}.*\b{LABEL}\b",  # "Are most of the people real?"
        rf"\bwhose (?:faces?|heads?)\b.*\b{LABEL}\b",  # "Whose face was swapped?"
        # "Is there a fake face here?"
        rf"\bthere( an?| any| some| no| another| more)* ({LABEL} {NOUN}|{NOUN}\b.*\b{LABEL}|(deep ?)?fakes?(?! \w)|"
        r"forger(?:y|ies))\b",
        rf"\b{ASKS} (?:(?:it|this|that) all|(?:all|none) of (?:it|this|that))\b.*\b{LABEL}\b",  # "Is it all fake?"
    ),
    "signs": _any(
        # "What is the weakest sign?"
        r"\b(?:strong|weak|bigg|larg|clear|bad|worst|best|most|least(?! suspicious| likely)|main)(?:er|est)?(?: \w+)? "
        r"(?:signs?|traces?|"
        r"findings?|clues?|hints?|evidence|regions?|areas?|parts?|places?)\b",
        # "Which region is the most suspicious?"
        r"\b(?:which|what) (?:regions?|areas?|parts?|places?|features?|signs?)\b.*\b(?:most|"
        r"least(?! suspicious| likely)|worst|strongest|weakest)\b",
        # "How many signs are there?"
        r"\b(?:how many|list|count|name|what|which)(?: (?:me|are|were|all|of|the|did you find))* (?:signs?|findings|"
        r"traces|clues|hints)\b(?!.*\bmeans?\b)",
    ),
    "clean": _any(
        # "Where is nothing wrong?"
        r"\b(?:where|what|which)\b.*\bnothing (?:\w+ )?(?:wrong|odd|strange|suspicious|forged|fake|found)\b",
        # "Which parts are not fake?"
        rf"\b(?:which|what|where)\b(?! (?:face|person|man|woman)s?\b)(?! (?:is|are|'s) (?:the |an? )?(?:chances?|odds|"
        rf"probabilit\w+|likelihood|evidence|proof|difference|sense)\b).*\b(?:(?:not|isn't|aren't|un\w+) {FAKE}|(?:is|"
        rf"are|looks?|seems?)(?: to be)? (?:{REAL}|fine|ok(?:ay)?|clean|right|normal|good|in order))\b",
        # "Which part is least suspicious?"
        r"\b(?:regions?|areas?|parts?|places?|features?) (?:is |are |looks? |seems? )?(?:the )?"
        r"least (?:suspicious|likely)\b",
        r"\bleast suspicious (?:regions?|areas?|parts?|places?|features?)\b",  # "What is the least suspicious part?"
        rf"\bis (?:any|some) (?:part|region|area)s?\b.*\b{REAL}\b",  # "Is any part of it genuine?"
        # "Which parts were not touched?"
        r"\b(?:which|what) (?:parts?|regions?|areas?|places?) (?:were|was|have|has)(?:n't| not)\b",
    ),
    "extent": _any(
        # "How much of the face is fake?"
        r"\bhow much (?:of|was|is|has|did|were)\b(?!.*\b(?:time|film|video|clip)\b)",
        # "How large is the mask?"
        rf"\bhow (?:big|large|wide)\b.*\b(?:{FAKE}|mask(?:ed)?|marked|suspicious|area|part|region|change)\b",
        # "Is the whole face swapped or only a part?"
        rf"\b(?:whole|entire|complete|full|all of the) face\b.*\b(?:{LABEL}|made|generated|replaced|changed|part|"
        r"only)\b",
        # "Is it only a small part?"
        r"\b(?:only|just) (?:an?|some|one) (?:small |little )?(?:part|region|area|bit)s?\b",
    ),
    "place": _any(
        r"\bcoordinates?\b|\b(?:bounding box(?:es)?|position) of\b",  # "What are the coordinates of the face?"
        # "Where is the fake face?"
        rf"\bwhere(?: in the \w+)? (?:is|are|was|were|stands?) (?:the )?(?:(?:{LABEL}|other) )?{NOUN}(?: "
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
        rf"\b(which|who|what)\b.*\b(more|most|less|least) (suspicious|likely|probably|{LABEL})\b",
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
        # "Can you prove that it is fake?"
        r"\b(?:can|could|do|does|did|will|would) (?:you|it|this|that|the (?:report|result|verdict)) (?:really )?"
        r"prove\b",
        r"\b(?:trained|learn(?:ed|t)|tested) (?:on|from|with)\b|\btraining (?:set|data)\b",  # "What was it trained on?"
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
        r"\b(how (sure|certain|confident|likely|probable)|probabilit\w*|confidence|certainty|chances?|odds|likelihood|"
        r"per ?cent\w*|are you (?:[\w%]+ ){0,2}(sure|certain|confident|positive)|border ?line|close call)\b",
        # "Is 26 % a lot?", "Is 99 % certain?"
        r"\bis(?:n't)? \d+(?:\.\d+)? ?(?:%|per ?cent) (?:\w+ ){0,2}?(?:lot|much|high|low|certain|sure|enough|little|"
        r"bad|good|"
        r"close|near)\b",
        r"\b(?:score|number|percentage) (?:\w+ )?(?:high|low|bad|good|much|a lot)\b",  # "Is the score high?"
        # "How close is it to the threshold?"
        r"\bhow (?:close|near|far)\b.*\b(?:threshold|limit|border|line|being (?:called|judged)|fake|real)\b",
        r"\bthresholds? (?:was|were|is|had been)\b|\bclose to the (?:threshold|limit|border|line)\b",
        # "Would you call it fake at 50 %?"
        r"\bwould (?:you|it) (?:\w+ ){0,4}at \d+ ?(?:%|per ?cent)",
        # "What is your best guess?", "On a scale of 1 to 10?"
        r"\b(?:guess|gut feeling|hunch|bet|scale (?:of|from)|give me a (?:number|score|figure))\b",
        r"\bif you (?:had|have|were|must)\b.*\b(?:choose|decide|pick|say|guess|forced)\b",  # "If you had to choose?"
        r"^(?:really|seriously)\W*$",  # "Really?"
        r"\b(?:can't|cannot) be(?: true)?\W*$",  # "That cannot be true!"
    ),
    "kind": _any(
        r"\b(what|which) (kind|type|sort|method|technique|way)\b",  # "What kind of forgery is it?"
        # "How was face 2 changed?"
        r"\bhow (was|is|were) (it|this|that|face \d{1,4}|the (face|picture|photo|image))\b.*\b(made|forged|faked|"
        r"done|created|manipulated|changed|edited|altered|swapped)\b",
        r"\bface[ -]?swap(?:s|ping)?\b",  # "Is it a face swap?"
        rf"\b{ASKS} (?:it|this|that|he|she) face[ -]?swapped\b",  # "Was it face-swapped?"
        r"\bspeaks? for an? (?:\w+ )?swap\b",  # "Does anything speak for a swap?"
        # "Was he made to look younger?"
        r"\bmade (?:to (?:look|seem|appear) )?(?:older|younger|slimmer|thinner|fatter|prettier|uglier|paler|darker)\b",
    ),
    "else": _any(
        # "Could it just be make-up?"
        r"\b(?:could|can|might|may|is|was|are|isn't|has|have|had)\b.*\b(?:filters?|make-?up|cosmetics|lipstick|"
        r"lighting|"
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
        r"\bwhat (?:was|has been) (?:done|changed|edited|altered)\b",
        # "What did they change?"
        r"\bwhat (?:did|have|has) (?:they|he|she|somebody|someone|anybody) (?:change|alter|edit|manipulate|retouch|"
        r"fake)d?\b",
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
        r"\bhow (do|can|did) you (know|tell|see|decide|judge|conclude|reach|find out)\b",  # "How do you know?"
        # "What gave …?"
        r"\bwhat (?:makes|made) you (?:think|say|believe|so)\b|\bwhat gives (?:it|them|him|her) away\b",
        r"\bon what (?:basis|grounds)\b",  # "On what basis?"
        r"\bwhat do you mean(?: by (?:that|this|it))?\W*$",
        r"\b(?:more details?|simpl(?:er|y|e words|e terms|e english)|plain (?:words|terms|english|language))\b",
        r"\bexplain\b|\breasons?\b",
        r"\bshow me\b",  # "Show me."
        r"\bhow come\b",  # "How come?"
        r"\btell me more\b",  # "Tell me more."
    ),
    "quality": _any(
        r"\bhow (?:big|large|small|wide|tall|sharp)\b.*\b(?:face|head|person)\b",  # "How big is face 2?"
        r"\b(?:how many pixels|size of)\b.*\b(?:face|head)\b",  # "How many pixels has the face?"
        r"\b(quality|blur\w*|sharp\w*|resolution|dark|too small)\b",  # "Is the middle of the face blurred?"
    ),
    "verdict": _any(
        # "Can you check this picture for me, please?"
        rf"\b(?:check|analy[sz]e|examine|look at|judge|assess) (?:this|it|that|the|my) ?(?:{MEDIUM}|face)?(?: for "
        r"me)?(?:,? please)?\W*$",
        rf"\b({FAKE}|{REAL}|verdict|result|conclusion)\b",  # "Have the teeth been altered?"
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
PATTERNS = {name: re.compile(pattern.replace(".*", _REACH), re.DOTALL) for name, pattern in INTENTS.items()}

# What a question may be about that nobody examined: how it is called in the answer, and by which words it is known.
PHOTOGRAPH = "whether it is a photograph"
ADDED = "whether somebody or something was added, removed or moved"
SAME = "whether it is the same person"
BEFORE = "who or what was there before a change"
HAPPENED = "whether what is shown happened"
TRAITS = "a person's age and such traits"
FILTERED = "whether the skin was smoothed or a filter was used"
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
        r"\b(?:is|does) the light\b",  # "Is the light consistent?"
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
        rf"\b{NOUN} a (?:copy|duplicate|clone) of\b",  # "Is one face a copy of another?"
        r"\btwins?\b|\brelat(?:ed|ives?)\b|\bsiblings?\b",
        r"\bthe same (?:as )?at (?:\d|the (?:start|beginning|end))",  # "Is she the same at the end?"
        # "Do the faces match?"
        rf"\b(?:do|does|are|is) (?:the |these |both |they )(?:\w+ )?{NOUN} (?:differ|match|resemble)\b",
        r"\bdiffer(?:s|ent)? from (?:each other|one another|the other)\b",  # "Do they differ from each other?"
    ),
    "the voice and the sound": _any(
        r"\blip[ -]?sync\w*",  # "Is it lip-synced?"
        r"\b(?:in|out of) sync\b",  # "Are the lips in sync?"
        r"\b(?:match|fit)(?:es)? (?:the |his |her |their )?(?:words|speech|lyrics)\b",  # "Do the lips match the words?"
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
        # "Is she wearing glasses?"
        rf"\b{ASKS} {_SOMEBODY} (?:wear|wearing)\b(?!.*\b(?:{LABEL}|make-?up|lipstick)\b)",
        r"\b(shirt|dress|uniform|jacket|necktie|scarf|jewell?ery|tattoos?|earrings?)\b",  # "Is the uniform real?"
    ),
    "text and signs in the picture": _any(
        # "Is the text below forged?"
        r"\b(text|caption|writing|letters|headline|logo|watermark|banner|poster|subtitles?|license plate|number "
        r"plate)\b",
    ),
    PHOTOGRAPH: _any(
        r"\b(?:is|was) (?:it|this|that) an? photo(?:graph)?\W*$",  # "Is it a photograph?"
        # "Are there several photos on the page?"
        r"\b(?:several|more|many|two|other) (?:photo\w*|pictures|images) (?:on|in) (?:the|this) (?:page|picture|"
        r"scan|image)\b",
        r"\b(?:from|off|of) an? (?:\w+ )?(?:screen|monitor|display|television|tv)\b",  # "Was it taken from a screen?"
        # "Could this be a statue?"
        r"\b(paintings?|drawings?|cartoons?|sketch|statues?|dolls?|mannequins?|puppets?|wax figures?|screen ?shots?|"
        r"scans?|scanned|"
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
        # "Is it me?", "Does it show my daughter?"
        rf"\b(?:{ASKS} (?:it|this|that|he|she)(?: really| actually)?|(?<!you )(?<!please )(?<!^)(?:shows?|showing|"
        rf"depicts?))(?: really)? (?:me|you|us|him|her|them|my (?:\w+ )?{_KIN})\W*$",
        r"\breally exists?\b",  # "Does she really exist?"
        r"\bdoes (he|she|this person) exist\b",  # "Does this person exist?"
    ),
    TRAITS: _any(
        # "How old is he?"
        rf"\bhow old (?:is|are|was|were|does|do) (?:he|she|they|(?:the|this|that|these|those) (?:\w+ )?{NOUN})\b",
        r"\b(?:older|younger) than\b",  # "Is he older than her?"
        r"\b(?:alive|dead)\b",  # "Is he dead?"
        r"\b(his|her|their) (age|gender|race|nationality|religion|ethnicity)\b",  # "What is her age?"
        r"\b(male or female|man or a? ?woman)\b",  # "Is it male or female?"
        r"\b(lying|drunk|guilty)\b",  # "Is he lying?"
    ),
    FILTERED: _any(
        r"\bair-?brush(?:ed|ing)?\b(?! (?:\w+ ){0,2}?(?:out|in(?:to)?)\b)",  # "Was this airbrushed?"
        # "Did they use a beauty filter?"
        r"\b(?:beauty|skin|face|smoothing|instagram|snapchat|tik ?tok|camera|app) filters?\b",
        rf"\b{ASKS} (?:\w+ ){{1,4}}?filter(?:s|ed)?(?: (?:used|applied|on|put on|added))?\W*$",
        # "Has the skin been smoothed?"
        r"\b(?:skin|face|wrinkles?|pores?|blemish(?:es)?)\b.*\bsmooth(?:ed|ened|ing)(?: out| over)?\b",
        r"\bbeautif\w+ed\b|\bbeautified\b",  # "Was the face beautified?"
        r"\bsmooth(?:ed|ened|ing) (?:out |over )?(?:the|his|her|their) (?:skin|face|wrinkles?)\b",
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
    BEFORE: _any(
        # "What did the original look like?"
        r"\bwhat (?:did|does) (?:the )?(?:original|real|true|genuine)(?: \w+)? look like\b",
        r"\bwhat (?:was|were) there before\b",  # "What was there before?"
        r"\bwho (?:is|was|were) the (?:original|real|true) (?:person|man|woman|face|actor|owner)\b",
        rf"\b(?:whose|which|what) (?:{NOUN}|persons?|heads?) (?:was|were|is|has been) (?:swapped|put|pasted|placed) "
        rf"in\b",
    ),
    HAPPENED: _any(
        r"\b(?:this|that|it) (?:really |actually |ever )*happen(?:ed)?\b",  # "Did this really happen?"
        # "Is the story true?"
        r"\b(?:the|this|that) (?:event|story|news|incident|quote|rumou?r|claim|article|statement|scene) (?:\w+ "
        r")?(?:true|real|"
        r"fake|false|genuine|authentic|invented|staged|happen\w*)\b",
        r"\bout of context\b|\bstaged\b",  # "Was it staged?"
    ),
    "where, when and by whom it was made": _any(
        # "Where did it first appear?"
        r"\bfirst (?:appear|posted|published|seen|shared|uploaded)\w*\b",
        r"\b(?:is|was) (?:this|it|that)(?: (?:photo\w*|picture|image|film|video))? (?:an? )?(?:old|recent|new)"
        r"(?: (?:photo\w*|picture|image|film|video|one))?\W*$",  # "Is this old?"
        # "Has it been used before?"
        r"\bbeen (?:used|published|posted|seen|shared|circulat\w+|online|debunked|fact-?checked)\b",
        r"\bwho (?:shared|uploaded|sent|leaked|circulated)\b",  # "Who shared it?"
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
# What can be seen, and is not told: such a question names no verdict
LOOKS = "what a face looks like, such as its expression and its colours"
SCENE = "what is to be seen and what happens"
KEPT = "where the file is kept and who can see it"
_ARE = r"(?:is|are|was|were|does|do|did)(?:n't)?"
_LOOKING = r"(?: (?:look|looks|seem|really|very|so|too|rather|still|not|\w+ly)){0,2}"
_MOOD = (
    r"(?:smil(?:e|ing)|laugh(?:ing)?|cry(?:ing)?|grin(?:ning)?|frown(?:ing)?|blink(?:ing)?|wink(?:ing)?|yawn(?:ing)?|"
    r"happy|sad|angry|afraid|scared|surprised|nervous|bored|worried|disgusted|asleep|sleeping|awake)"
)
_TRAIT = (
    r"(?:old|young|elderly|tall|fat|thin|slim|rich|poor|married|pregnant|ill|sick|tired|sober|beautiful|pretty|"
    r"handsome|"
    r"attractive|ugly|male|female|bald)"
)
_HUE = r"(?:blue|brown|green|gr[ae]y|hazel|black|white|blonde?|red|ginger|pink|dyed|pale|tanned)"
_SHAPE = (
    r"(?:open|closed|shut|big|bigger|small|smaller|large|larger|long|longer|short|shorter|wide|wider|narrow|thick|thin|"
    r"crooked|broken|straight|curly|wavy|wet|dry|smooth|wrinkled|shaved|pierced|swollen|beautiful|pretty|ugly|"
    r"(?:at|of|on) the same \w+)"
)
_ITS = r"(?:the|his|her|their|its|both)"
APPEARANCE: dict[str, str] = {
    TRAITS: _any(
        rf"\b{_ARE} {_SOMEBODY}{_LOOKING} {_TRAIT}\b(?:\W*$| or\b)",  # "Is he old?"
        # "Is it a man?"
        r"\b(?:is|was) (?:it|this|that|he|she) an? (?:man|woman|boy|girl|child|adult|teenager|minor|kid|baby)\W*$",
        r"\bwho (?:is|was|looks) (?:the )?(?:old|young|tall|pretti|ugli)(?:er|est)\b",  # "Who is the oldest?"
    ),
    LOOKS: _any(
        rf"\b{_ARE} (?:it|{_SOMEBODY}){_LOOKING} {_MOOD}\b(?! {NOUN}\b)",  # "Is she smiling?"
        # "What is her expression?"
        r"\bwhat(?:'s| is| are) (?:the|his|her|their) (?:\w+ )?(?:expressions?|moods?|emotions?|feelings?)\b",
        rf"\bhow {_ARE} {_SOMEBODY} (?:feel|feeling)\b",  # "How does he feel?"
        r"\b(?:what|which) (?:\w+ )?colou?rs?\b(?!.*\bmask\b)",  # "What colour are her eyes?"
        r"\bhow many (?:teeth|eyes|ears|lips|wrinkles|hairs|freckles|moles)\b",  # "How many teeth can be seen?"
        # "Does he have a beard?"
        rf"\b(?:does|do|did|has|have) {_SOMEBODY} (?:have|got|had)\b(?!.*\b(?:signs?|traces?|been|verdicts?|masks?|"
        r"findings?|scores?|probabilit\w+|chances?|surgery|botox|make-?up|filters?)\b)",
    ),
    SCENE: _any(
        # "What is he doing?"
        rf"\bwhat (?:{_ARE}|has|have) {_SOMEBODY} (?:\w+ )?(?:do|doing|say|saying|hold|holding|wear|wearing|looking|"
        r"look like|think|thinking)\b",
        # "Where is he looking?"
        rf"\bwhere {_ARE} {_SOMEBODY} (?:look|looking|go|going|stand|standing|sit|sitting|live)\b",
        rf"\b{_ARE} {_SOMEBODY} (?:look|looking) (?:at|into|away|down|up|to)\b",  # "Is he looking at the camera?"
        # "Describe the man."
        r"^(?:please |can you |could you )*describe (?:the|this|that|him|her|them|what)\b(?!.*\b(?:signs?|traces?|"
        r"findings?|evidence|verdicts?|reports?|results?|masks?)\b)",
        rf"\bwhat(?:'s| is) (?:in|on) (?:the|this) {MEDIUM}\b",  # "What is in the picture?"
        # "What can be seen?"
        r"\bwhat (?:can be seen|is shown|is to be seen|is happening|happens|is going on)\b(?!.*\bmask\b)",
    ),
}
# The same of a region that is named: "Are his eyes closed?", "How far apart are the eyes?"
_LOOKS_OF_A_PLACE = _any(
    rf"\b(?:is|are|was|were) {_ITS} (?:(?!made\b|been\b)[\w'-]+ ){{1,4}}?(?:{_HUE}|{_SHAPE})\b(?:\W*$| (?:or|and|than|"
    r"as)\b)",
    rf"\b{_ARE} {_ITS} (?:[\w'-]+ ){{1,3}}?(?:move|moving|twitch|twitching)\W*$",  # "Does the mouth move?"
    rf"\b{_ARE} {_ITS} (?:[\w'-]+ ){{1,4}}?(?:have|look|seem) (?:\w+ )?(?:{_HUE}|{_SHAPE})\W*$",
    rf"\bhow (?:big|large|long|wide|high|thick|small|short|far apart) {_ARE} {_ITS}\b(?!.*\b(?:mask|change|area|sign|"
    r"part)s?\b)",
)
_KEPT = _any(
    # "Where is my photo stored?"
    r"\b(?:where|how long) (?:is|are|was|will|do you|does it)\b (?:\w+ ){0,4}(?:stored|kept|saved|keep|store|save)\b",
    # "Do you save the photo?"
    r"\b(?:do|will|did|does|can) (?:you|it|anybody|anyone|facewitness) (?:\w+ )?(?:save|store|keep|share|upload|send) "
    r"(?:the|my|this|our|any)\b",
    r"\bwho (?:can|could|will) (?:see|read|access)\b",  # "Who can see my photo?"
    # "Is the photo uploaded anywhere?"
    r"\b(?:uploaded|sent|shared) (?:anywhere|somewhere|to (?:an?|the|your|any) (?:server|cloud|internet)|to you\b|to "
    r"any(?:body|one))",
    # "Do you store it?", "Is this confidential?"
    r"\bdo you (?:store|keep|save|upload|share|collect) (?:it|this|them|photos|pictures|data|anything)\b",
    r"\b(?:confidential|privacy|private)\b",
    r"\bcan i delete\b",  # "Can I delete it?"
)
ABOUT_UNEXAMINED = {name: re.compile(pattern.replace(".*", _REACH)) for name, pattern in UNEXAMINED.items()}
NAMED = re.compile(r"\b(?:[Ii]s|[Ww]as) (?:this|that|it|he|she)(?: really)? (?:[A-Z][\w'’-]+)(?: [A-Z][\w'’-]+)+")
FILE = re.compile(
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
        r"\bhow many pixels\b(?!.*\b(?:face|head)\b)",  # "How many pixels has it?"
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
        r"(?<!at the )(?<!into the )(?<!to the )\bcameras?\b",  # "Which camera was it?"
        r"\b(lens|exif|meta ?data|gps|c2pa|content credentials?|provenance|thumbnail|serial number)\b",
        r"\b(which|what) (phones?|software|programs?|app|editor)\b",  # "Which software was used?"
        r"\bwhat does the file say\b",  # "What does the file say?"
        # "When was this portrait taken?"
        rf"\b(when|where|with what) (was|were|is) (it|this|that|(?:the|this|that) (?:\w+ )?{MEDIUM}) (taken|shot|"
        r"saved|edited|made|recorded|filmed)\b",
    )
)

_TONGUE = (
    r"(?:german|french|spanish|italian|portuguese|dutch|polish|russian|ukrainian|turkish|greek|arabic|hebrew|persian|"
    r"hindi|urdu|bengali|tamil|chinese|mandarin|cantonese|japanese|korean|vietnamese|thai|indonesian|malay|swahili|"
    r"swedish|norwegian|danish|finnish|czech|slovak|hungarian|romanian|bulgarian|serbian|croatian|catalan|latin|"
    r"another language|my (?:own )?language|other languages)"
)
ANOTHER_LANGUAGE = re.compile(
    _any(
        # "In German please"
        rf"^\W*(?:and |now |please |the same |again ){{0,3}}in(?:to)? {_TONGUE}\b(?: please)?\W*$",
        # "Can you answer in French?"
        rf"\b(?:answer|reply|respond|say|repeat|write|explain|translate|talk|speak|tell me|put) (?:\w+ ){{0,3}}?"
        rf"(?:in |into |to )?{_TONGUE}\b",
        rf"\bdo you (?:speak|know|understand|read) {_TONGUE}\b",  # "Do you speak Spanish?"
        r"^\W*(?:please )?translate\b",  # "Translate that."
    )
)

# Whether what came by WhatsApp is fake is asked of the picture, and not of the file
OF_LABEL = re.compile(
    rf"\b{ASKS} (?:it|this|that|he|she|(?:the|this|that) (?:\w+ ){{0,3}}?(?:{MEDIUM}|{NOUN}))(?: \w+){{0,2}}? "
    rf"(?:an? )?"
    r"(?:deep ?)?(?:fake[sd]?|forge[ds]?|forger(?:y|ies)|real|genuine|authentic|manipulated|doctored)\b"
)
ABOUT_APPEARANCE = {name: re.compile(pattern.replace(".*", _REACH)) for name, pattern in APPEARANCE.items()}
LOOKS_OF_A_PLACE = re.compile(_LOOKS_OF_A_PLACE.replace(".*", _REACH))
ABOUT_KEEPING = re.compile(_KEPT)
