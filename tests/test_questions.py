"""What a question asks for: the intent, the regions, the face."""

from __future__ import annotations

import pytest
from effort import grows_with_its_length

from facewitness import patterns, questions, sentences, spelling, times
from facewitness.questions import asked_regions


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("Is this face fake?", ()),
        ("Is the lower face fake?", ("lower_face",)),
        ("Is the left upper eyelid real?", ("left_upper_eyelid",)),
        ("LEFT-EYE??", ("left_eye",)),
        ("What of his lips and brows?", ("mouth", "left_eyebrow", "right_eyebrow")),
        ("Is the nose tip odd, or the chin?", ("nose_tip", "chin")),
        ("Is the skin smooth?", ("skin",)),
        ("Is the left eye more suspicious than the right?", ("left_eye", "right_eye")),
        ("Is the left eye more suspicious than the right ear?", ("left_eye", "right_ear")),
        ("Is the left side of the face fake?", ("left_eyebrow", "left_eye", "left_cheek", "left_jaw")),
        ("Was the upper half of her face changed?", ("forehead", "eyebrows", "eyes")),
        ("Is the bottom part of the face real?", ("mouth", "chin", "jaw")),
        ("Is the face on the left side of the picture fake?", ()),
        ("Is the left half of the picture fake?", ()),
    ],
)
def test_regions_in_questions(question, named):
    assert asked_regions(question) == named


@pytest.mark.parametrize(
    ("question", "intent"),
    [
        ("Which faces are fake?", "which"),
        ("who is fake?", "which"),
        ("Is anyone fake?", "which"),
        ("Are all faces real?", "which"),
        ("Is one of the faces fake?", "which"),
        ("How many faces are there?", "faces"),
        ("What does inconclusive mean?", "means"),
        ("Can I publish this?", "publish"),
        ("Should we run it?", "publish"),
        ("What should I do next?", "next"),
        ("what now", "next"),
        ("How often are you wrong?", "wrong"),
        ("Can I trust it?", "wrong"),
        ("Are you ever wrong?", "wrong"),
        ("What is wrong with the nose?", "where"),  # not how often
        ("What is wrong here?", "where"),
        ("Is the verdict wrong?", "wrong"),
        ("Is the probability correct?", "wrong"),
        ("Is the verdict fake?", "verdict"),
        ("Which region is the most suspicious?", "signs"),
        ("List all findings", "signs"),
        ("How many signs are there?", "signs"),
        ("What does a weak sign mean?", "means"),
        ("Which parts are not fake?", "clean"),
        ("What parts look real?", "clean"),
        ("Which part is least suspicious?", "clean"),
        ("What is the least suspicious region?", "clean"),
        ("Which face is least suspicious?", "faces"),
        ("Can you prove that it is fake?", "wrong"),
        ("Does this prove it?", "wrong"),
        ("How can I prove it?", "next"),
        ("What was it trained on?", "wrong"),
        ("Which faces are real?", "which"),
        ("How much of the face is fake?", "extent"),
        ("Is the whole face swapped or only a part?", "extent"),
        ("What is the probability for each face?", "faces"),
        ("What can you do?", "self"),
        ("What can I do?", "next"),
        ("Do the witnesses agree?", "witnesses"),
        ("What is a witness?", "means"),
        ("What was not examined?", "examined"),
        ("When was this analysed?", "examined"),
        ("How long is the film?", "length"),
        ("Is it fake the whole time?", "when"),
        ("Which frame is the worst?", "when"),
        ("Could it just be make-up?", "else"),
        ("What if I send a better photo?", "what_if"),
        ("What if it is fake?", "suppose_fake"),
        ("What would change the verdict?", "mind"),
        ("What is the base rate?", "rate"),
        ("What if only one in a hundred pictures is fake?", "rate"),
        ("What if 2 % of them are fake?", "rate"),
        ("Fakes are rare: what then?", "rate"),
        ("How rare are deepfakes?", "rate"),
        ("What if 5 % of the photos on this site are fake?", "rate"),
        ("What if 50 % of the face is fake?", "suppose_fake"),
        ("When are 2 of 10 frames fake?", "when"),
        ("Does 99 % mean that 99 of 100 such pictures are fake?", "rate"),
        ("Is something off?", "verdict"),
        ("Where was the face swapped?", "where"),
        ("Is it a face swap?", "kind"),
        ("How was face 2 changed?", "kind"),
        ("What was done to the face?", "where"),
        ("What did you find?", "where"),
        ("How likely is it that both are real?", "faces"),
        ("Does the photo show any editing?", "verdict"),
        ("What does the mask show?", "means"),
        ("Summarise the report", "verdict"),
        ("Where is face 2?", "place"),
        ("Where is the fake face?", "place"),
        ("Where is the face fake?", "where"),
        ("How big is face 2?", "quality"),
        ("Really?", "sure"),
        ("What percentage is fake?", "sure"),
        ("Is it all fake?", "which"),
        ("Isn't there a fake?", "which"),
        ("Which one is worse?", "faces"),
        ("Would this hold in court?", "publish"),
        ("Is this trustworthy?", "wrong"),
        ("Was the face replaced?", "verdict"),
        ("Was it made with Midjourney?", "tool"),
        ("Which software was used?", "tool"),
        ("Is it AI generated?", "made"),
        ("Was the picture made by an AI?", "made"),
        ("How was it made?", "kind"),
        ("Does anybody look fake?", "which"),
        ("Is no one fake?", "which"),
        ("Are two of them fake?", "which"),
        ("Are at most two fake?", "which"),
        ("Are most of the people real?", "which"),
        ("Is half of the group fake?", "which"),
        ("Is half of the face fake?", "verdict"),
        ("Is the majority genuine?", "which"),
        ("Whose face was swapped?", "which"),
        ("Can you undo the forgery?", "self"),
        ("Can you show me the original?", "self"),
        ("Can you tell me if it is fake?", "verdict"),
        ("Who made you?", "self"),
        ("Are you human?", "self"),
        ("Which regions can I ask about?", "self"),
        ("Can I tell my readers that it is fake?", "publish"),
        ("Could you share the verdict?", "verdict"),
        ("How many percent of fakes do you miss?", "wrong"),
        ("Would a better photo help?", "mind"),
        ("Can you check this picture for me, please?", "verdict"),
        ("What is AUC?", "means"),
        ("What is compact?", "means"),
        ("What are the regions of the face that are fake?", "where"),
        ("Prove it.", "why"),
        ("Which model are you using?", "witnesses"),
        ("What did you say?", "again"),
        ("What percentage of the film is fake?", "when"),
        ("Is the whole film fake?", "when"),
        ("Is every frame fake?", "when"),
        ("Which frame should I look at?", "when"),
        ("Which frames did you look at?", "length"),
        ("What are the coordinates of the face?", "place"),
        ("Are you absolutely sure?", "sure"),
        ("How did you get to 99 %?", "why"),
        ("Is neither of them forged?", "which"),
        ("Are they both real?", "which"),
        ("Have any faces been swapped?", "which"),
        ("Is there a fake face here?", "which"),
        ("Are the two people real?", "which"),
        ("Is there any sign of manipulation?", "verdict"),
        ("Which face is more suspicious?", "faces"),
        ("Was it photoshopped?", "verdict"),
        ("Can you tell if it is fake?", "verdict"),
        ("Suppose it is legit", "suppose_real"),
        ("If it is fake, why?", "suppose_fake"),
        ("What is the case for real?", "suppose_real"),
        ("Make the case for it being fake", "suppose_fake"),
        ("What speaks for either side?", "sides"),  # what is offered must be understood
        ("Why did real win?", "sides"),
        ("Are both sides of the face forged?", "which"),
        ("Is the noſe faKe?", "verdict"),
        ("İs it fake?", "verdict"),
        ("?", ""),
        ("Was Photoshop used?", "tool"),
        ("Did they use Photoshop?", "tool"),
        ("Is it photoshopped?", "verdict"),
        ("Was it edited in Facetune?", "tool"),
        ("Where is nothing wrong?", "clean"),
    ],
)
def test_intents(question, intent):
    assert questions.intent(question) == intent


@pytest.mark.parametrize(
    ("question", "side", "demanded"),
    [
        ("Prove that this is fake.", "fake", True),
        ("prove to me it's not real", "fake", True),
        ("Convince me that the photo is genuine!", "real", True),
        ("Show me that it was manipulated", "fake", True),
        ("Explain why this is a genuine photo", "real", False),
        ("Why is this fake?", "fake", False),
        ("This is a real human face. What evidence do you have?", "real", False),
        ("Since it is not fake, who is it?", "real", False),
        ("Suppose it is legit", "real", False),
        ("Is this real or fake?", None, False),
        ("Prove whether it is fake", None, True),
        ("Show me the nose", None, False),
        ("Why is the sky blue?", None, False),
        ("Is the nose fake?", None, False),
    ],
)
def test_what_a_question_takes_for_granted(question, side, demanded):
    assert questions.supposed(question) == side
    assert questions.demands(question) == demanded


def test_what_a_question_begins_with_as_if_it_were_known():
    assert questions.granted("Since this is fake, where was it edited?") == "fake"
    assert questions.granted("Given that it is genuine, is the nose odd?") == "real"
    assert questions.granted("Why is this fake?") is None and questions.granted("Since when is he there?") is None


@pytest.mark.parametrize(
    ("question", "what"),
    [
        ("Is the background fake?", "the background"),
        ("Is the voice real?", "the voice and the sound"),
        ("Are the hands real?", "the hands"),
        ("Is the text below forged?", "text and signs in the picture"),
        ("Who is this?", "who it is"),
        ("Is this person a real politician?", "who it is"),
        ("Is this Tom Hanks?", "who it is"),
        ("Is it me?", "who it is"),
        ("Is that really my little sister?", "who it is"),
        ("Does it show my boss?", "who it is"),
        ("Is this my photo?", None),
        ("Was this airbrushed?", patterns.FILTERED),
        ("Has the skin been smoothed?", patterns.FILTERED),
        ("Did they use a beauty filter?", patterns.FILTERED),
        ("Is there a filter?", patterns.FILTERED),
        ("Was he airbrushed out?", patterns.ADDED),
        ("When was it taken?", "where, when and by whom it was made"),
        ("Where does it come from?", "where, when and by whom it was made"),
        ("Was it taken in Paris?", "where, when and by whom it was made"),
        ("How old is the photo?", "where, when and by whom it was made"),
        ("How old is he?", "a person's age and such traits"),
        ("Was somebody added?", patterns.ADDED),
        ("Is anyone missing from the picture?", patterns.ADDED),
        ("Did someone cut a person out?", patterns.ADDED),
        ("Was she photoshopped in?", patterns.ADDED),
        ("Is it a collage?", patterns.ADDED),
        ("Was he really there?", patterns.ADDED),
        ("Is it the same person in both faces?", patterns.SAME),
        ("Is the face on the left the same as the face on the right?", patterns.SAME),
        ("Are the faces of the same man?", patterns.SAME),
        ("Has the picture been flipped?", patterns.PROCESSED),
        ("Were frames removed?", patterns.PROCESSED),
        ("Is the video slowed down?", patterns.PROCESSED),
        ("Are the lips in sync?", "the voice and the sound"),
        ("Do the shadows match?", "light, shadows and perspective"),
        ("Is the face on the left-hand side fake?", None),
        ("Is it a painting?", "whether it is a photograph"),
        ("Is the nose fake?", None),
        ("Is anybody fake?", None),
        ("Is the hair real?", None),  # a region
    ],
)
def test_what_nobody_examined(question, what):
    assert questions.unexamined(question) == what


@pytest.mark.parametrize(
    ("question", "thing"),
    [
        ("Is the flag fake?", "flag"),
        ("Are the glasses real?", "glasses"),
        ("Is the tree behind him edited?", "tree"),
        ("Was the big dog generated?", "big dog"),
        ("Do you think the hat of the man on the left is fake?", "hat"),
        ("Is the left half of the picture fake?", "left half"),
        ("Is the left side of the face fake?", ""),
        ("Is the left side of face 1 fake?", ""),
        ("Is the whole thing fake?", ""),
        ("Is this really fake?", ""),
        ("Is this a fake photo?", ""),
        ("Is her smile real?", ""),
        ("Is the nose fake?", ""),
        ("Is the taller one fake?", ""),  # a person, whoever it is
        ("Was this photo edited?", ""),
        ("Is the second real?", ""),
        ("Is it fake?", ""),
    ],
)
def test_things_that_are_no_face(question, thing):
    assert questions.thing(question) == thing


def test_names_of_people():
    assert questions.names_somebody("Is Angela Merkel fake?") and questions.names_somebody("Was Trump swapped?")
    for question in ("Is it fake?", "IS IT FAKE?", "Is AI used?", "Is This A Fake Photo?", "Is Face 2 fake?", "Merkel"):
        assert not questions.names_somebody(question)


@pytest.mark.parametrize(
    "question",
    [
        "Ist das Gesicht gefälscht?", "¿Es falsa esta cara?", "Le visage est-il faux ?", "هل هذا الوجه مزيف؟",
        "这是假的吗", "Какая часть поддельная?", "Es real?", "Is de neus nep?", "A foto é verdadeira?",
        "Bu yüz sahte mi?",
    ],
)  # fmt: skip
def test_other_languages(question):
    assert not spelling.is_english(question)


@pytest.mark.parametrize(
    "question", ["Fake?", "x", "?", "nose", "Is the Señora fake?", "Is this Charles de Gaulle?", "𝐅𝐚𝐤𝐞?"]
)
def test_english(question):
    assert spelling.is_english(question)


@pytest.mark.parametrize(
    ("question", "where_forged", "where_not"),
    [
        ("Is it fake?", "Yes. ", "No. "),
        ("Is it real?", "No. ", "Yes. "),
        ("Is it real or fake?", "", ""),
        ("Is it not fake?", "", ""),
        ("Is the mouth not genuine?", "", ""),
        ("Is nobody fake?", "", ""),
        ("Is no part of the face edited?", "", ""),
        ("There is no doubt that it is fake, is there?", "Yes. ", "No. "),
        ("Isn't it fake?", "Yes. ", "No. "),
        ("Is it fake or not?", "Yes. ", "No. "),
        ("Is it half fake?", "", ""),
        ("Is it 26 % fake?", "", ""),
        ("What did the fake look like?", "", ""),
        ("How far is it from being called fake?", "", ""),
        ("Was the expression changed?", "", ""),
        ("I am not sure: is it fake?", "Yes. ", "No. "),
        ("What is it?", "", ""),
    ],
)
def test_yes_and_no_answer_the_question_as_it_was_put(question, where_forged, where_not):
    assert questions.yes_or_no(question, forged=True) == where_forged
    assert questions.yes_or_no(question, forged=False) == where_not


@pytest.mark.parametrize("piece", ["what is ", "can ", "who fake how many ", "how was it ", "is anyone "])
def test_reading_a_question_costs_what_its_length_does(piece):
    assert grows_with_its_length(lambda count: questions.intent(piece * count), 50_000 // len(piece))


@pytest.mark.parametrize(
    ("question", "stretch"),
    [
        ("Is it fake between 0:02 and 0:04?", (2.0, 4.0)),
        ("Is it fake from 2 to 4.5 seconds?", (2.0, 4.5)),
        ("Was she swapped from 0:04 until 0:02?", (2.0, 4.0)),
        ("0:02–0:04?", (2.0, 4.0)),
        ("Is it fake before 0:03?", (0.0, 3.0)),
        ("Is it real after 0:03?", (3.0, 9.0)),
        ("Is the first second fake?", (0.0, 1.0)),
        ("Are the last two seconds fake?", (7.0, 9.0)),
        ("Is the second half fake?", (4.5, 9.0)),
        ("Is it fake at the end?", (6.0, 9.0)),
        ("Is it fake in the middle of the film?", (3.0, 6.0)),
        ("Is it fake at 0:03?", None),
        ("Is the last face fake?", None),
        ("Is face 1 or 2 fake?", None),
        ("Is the man in the middle fake?", None),
        ("Is it fake between 1 and 2 people?", None),
    ],
)
def test_parts_of_a_film(question, stretch):
    assert times.stretch_asked_for(question, 9.0) == (None if stretch is None else pytest.approx(stretch))


def test_a_part_of_a_film_ends_before_the_next_one_begins():
    first = times.stretch_asked_for("Is the first third fake?", 9.0)
    second = times.stretch_asked_for("Is the second third fake?", 9.0)
    last = times.stretch_asked_for("Is the third third fake?", 9.0)
    assert first[1] < 3.0 == second[0] and second[1] < 6.0 == last[0] and last[1] == 9.0
    assert times.stretch_asked_for("in the fourth second", 9.0) == pytest.approx((3.0, 4.0))
    assert times.stretch_asked_for("the third minute", 9.0)[0] == 120.0, "which is after its end"


def test_every_moment_that_is_named_counts():
    assert times.moments_asked_for("Is 0:01 more fake than 1:02:03?") == (1.0, 3723.0)
    assert times.moments_asked_for("at 1234567 seconds, or at 123:00:00?") == (1_234_567.0, 442_800.0)
    assert times.frames_asked_for("Is frame 12345678901 fake?") == (12_345_678_901,)
    for words in ("4s", "at second four", "Is it fake after four seconds?", "at about 4 sec"):
        assert times.moments_asked_for(words) == (4.0,)
    assert times.frames_asked_for("Is frame 35 more fake than frame ten?") == (35, 10)
    assert times.frames_asked_for("Are frames 10 to 20 fake?") == (10, 20)
    assert times.frames_asked_for("The first frame or the last frame?") == (0, -1)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Good morning. Is this picture fake? Thanks!", ("Is this picture fake?",)),
        ("Is the mouth fake? And what about the nose?", ("Is the mouth fake?", "And what about the nose?")),
        ("This came by WhatsApp yesterday, is it fake?", ("is it fake?",)),
        ("My aunt sent me this. She says it is real. Can I trust it?", ("Can I trust it?",)),
        ("Is it fake?\nWhere?", ("Is it fake?", "Where?")),
        ("I mean the man on the left. Is he fake?", ("I mean the man on the left. Is he fake?",)),
        ("Suppose it is fake. Why?", ("Suppose it is fake. Why?",)),
        ("The mouth looks odd, is it fake?", ("The mouth looks odd, is it fake?",)),
        ("Is face no. 2 fake?", ("Is face no. 2 fake?",)),
        ("Is it real? At 0:02.5 it looks odd.", ("Is it real? At 0:02.5 it looks odd.",)),
    ],
)
def test_each_question_of_a_text_is_one_and_what_is_told_beside_it_is_none(text, parts):
    assert sentences.parts(text) == parts


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("Thanks", "You are welcome."),
        ("OK, thank you very much for your help! 🙂", "You are welcome."),
        ("hello", "Hello."),
        ("Well done.", "All right."),
        ("👍", "All right."),
        ("bye", "Goodbye."),
        ("Thanks, and the mouth?", None),
        ("right eye", None),
        ("no", None),
        ("?", None),
    ],
)
def test_a_courtesy_is_no_question(text, back):
    assert sentences.courtesy(text) == back


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("Wheer was it forgd", "where was it forged"),
        ("waht is teh verdcit", "what is the verdict"),
        ("Is the forhead genuin?", "is the forehead genuine?"),
        ("how long did it take", "how long did it take"),  # not "fake"
        ("Is the hat fake?", "is the hat fake?"),  # not "that"
        ("Did you note that?", "did you note that?"),  # as near to "nose" as to "not"
    ],
)
def test_slips_of_the_pen(typed, read):
    assert spelling.respelt(typed) == read


@pytest.mark.parametrize("question", ["Is the moth fake?", "Is the bird fake?", "Is the forest real?"])
def test_an_ordinals_ending_makes_no_person(question):
    assert questions.thing(question) == question.split()[2]
    assert questions.thing("Is the twenty-first fake?") == questions.thing("Is the 4th fake?") == ""


def test_regions_on_both_sides_are_asked_for_each():
    assert questions.of_each("Are both eyes fake?", ("eyes",)) == ("left_eye", "right_eye")
    assert questions.of_each("Which ear is fake?", ("ear",)) == ("left_ear", "right_ear")
    assert questions.of_each("Are the eyes fake?", ("eyes",)) == ("eyes",)
    assert questions.of_each("Are both the nose and the mouth fake?", ("nose", "mouth")) == ("nose", "mouth")


@pytest.mark.parametrize(
    ("question", "about"),
    [
        ("Is this the original file?", True),
        ("When was this portrait taken?", True),
        ("How many bytes has it?", True),
        ("Is it a PNG or a JPEG?", True),
        ("Is the downloaded photo fake?", False),
        ("Is this picture from Instagram real?", False),
        ("What is the hash?", True),
        ("How big is the file?", True),
        ("Has it been saved several times?", True),
        ("Is it signed?", True),
        ("Was it downloaded from WhatsApp?", True),
        ("Is the nose original?", False),
        ("How big is the nose?", False),
        ("Is it the original face?", False),
    ],
)
def test_what_a_file_is_and_says(question, about):
    assert questions.about_file(question) == about


@pytest.mark.parametrize(
    ("question", "step"),
    [
        ("A second later?", (1.0, "second")),
        ("And a second before?", (-1.0, "second")),
        ("Half a second earlier?", (-0.5, "second")),
        ("Is the mouth fake two seconds later?", (2.0, "second")),
        ("And the frame after that?", (1.0, "frame")),
        ("The previous moment?", (-1.0, "moment")),
        ("1.5 s later", (1.5, "second")),
        ("a second after 0:03", (1.0, "second")),
        ("Is the second face fake?", None),
        ("Is it fake after 3 seconds?", None),
        ("Is it fake before 3 seconds?", None),
        ("Was it taken later?", None),
        ("Is the second person after the first fake?", None),
    ],
)
def test_steps_from_a_moment_in_questions(question, step):
    asked = times.step_asked_for(question)
    assert (None if asked is None else asked[:2]) == step


@pytest.mark.parametrize(
    ("question", "what"),
    [
        ("Is she smiling?", patterns.LOOKS),
        ("What colour are her eyes?", patterns.LOOKS),
        ("Are her eyes blue?", patterns.LOOKS),
        ("Are his eyes closed?", patterns.LOOKS),
        ("Does he have a beard?", patterns.LOOKS),
        ("How many teeth can be seen?", patterns.LOOKS),
        ("How far apart are the eyes?", patterns.LOOKS),
        ("Is the left eye larger than the right one?", patterns.LOOKS),
        ("Is he old?", patterns.TRAITS),
        ("Does the man on the left look tired?", patterns.TRAITS),
        ("Is it a man?", patterns.TRAITS),
        ("Who is the oldest?", patterns.TRAITS),
        ("What is he doing?", patterns.SCENE),
        ("Where is he looking?", patterns.SCENE),
        ("Is he looking at the camera?", patterns.SCENE),
        ("Describe the face.", patterns.SCENE),
        ("Is she wearing glasses?", "clothes and things worn"),
        ("Where is my photo stored?", patterns.KEPT),
        ("Is the photo uploaded anywhere?", patterns.KEPT),
        ("Can I delete it?", patterns.KEPT),
        ("Does the mouth move?", patterns.LOOKS),
        ("Do the lips match the words?", "the voice and the sound"),
        ("Is the smiling man fake?", None),
        ("Were the eyes made bigger?", None),
        ("What happened to the mouth?", None),
        ("Is her smile real?", None),
        ("Are the blue eyes fake?", None),
        ("Is his beard forged?", None),
        ("Is the mask red?", None),
        ("What colour is the mask?", None),
        ("How large is the change at the nose?", None),
        ("Does the nose have signs?", None),
        ("Does he have signs of forgery?", None),
        ("Was it saved several times?", None),
        ("Is the mouth open to doubt?", None),
    ],
)
def test_what_is_seen_and_not_told(question, what):
    assert questions.unexamined(question) == what
