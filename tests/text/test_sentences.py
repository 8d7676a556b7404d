"""Where sentences end, in the language that is told."""

import pytest
from sentencex import segment  # pyright: ignore[reportAttributeAccessIssue] - a compiled module without stubs

from preceptor.text.languages import languages
from preceptor.text.sentences import split_sentences


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        (
            "en",
            [
                "See e.g. Fig. 3 and Eq. 5, i.e. This one.",
                "Dr. Who came at 5 p.m. from the U.S. Army.",
                "End?",
            ],
        ),
        ("en", ["It is made `<b>...</b>` here.", "Use ``a ` b. C`` or `d.`", "Then `open.", "Go."]),
        (
            "en",
            ["The `?` operator calls `from`.", "Macros such as `println!` are called.", "Use `x!`.", "So."],
        ),
        ("en", ["They tell the state of all goals.", "```mermaid goes on."]),
        ("de", ["Der Operator `?` gibt Fehler weiter.", "Ende."]),
        ("en-GB", ["It uses, e.g. ROS 2.0, approx. 5 kg.", "Dr. Who came.", "Next!"]),
        ("en", ["Trees are executed by the BehaviorTree.CPP library.", "Use ./setup.sh for that.", "Done."]),
        ("de", ["Das ist z. B. Gut, z.B. Räder, d. h. Ja.", "Vgl. Abb. 3 und Kap. 4 auf S. 12.", "Ende."]),
        ("de", ["Sie läuft mit max. Drehzahl inkl. Motor.", "Am 3. Mai kam Dr. Müller.", "Ende."]),
        ("de-AT", ["Es gibt u. a. Räder.", "Ende."]),
        ("fr", ["C'est p. ex. Paris, c.-à-d. Oui.", "Voir éq. 5 et chap. 3.", "Mme. Curie vient.", "Fin."]),
        ("es", ["Es p. ej. Madrid, aprox. 3 metros.", "La Sra. López vino.", "Fin."]),
        ("pt", ["É p. ex. Lisboa, na pág. 5.", "A Sra. Lopes veio.", "Fim."]),
        ("it", ["È ad es. Roma, a pag. 5.", "Il sig. Rossi viene.", "Fine."]),
        ("nl", ["Het is bijv. Amsterdam, d.w.z. Nee, zie afb. 3.", "Einde."]),
        ("ru", ["Это т. е. Да, напр. Москва.", "На рис. 3 и в гл. 4.", "Конец."]),
        ("uk", ["Це напр. Київ, див. Рис. 4.", "На рис. 3.", "Кінець."]),
        ("tr", ["Bu örn. Ankara, bkz. Şekil 3.", "Dr. Ali geldi.", "Son."]),
        ("id", ["Ini mis. Jakarta pada hlm. 5.", "Selesai."]),
        ("el", ["Είναι π.χ. Αθήνα, δηλ. Ναι.", "Βλ. Εικ. 3.", "Τέλος."]),
        ("ur", ["ROS 2.0 ایک نظام ہے۔", "کیا یہ چلتا ہے؟", "ہاں!", "روبوٹ چلتا ہے۔"]),
        ("hi", ["डॉ. शर्मा आए।", "पृ. 5 देखें।", "क्या वह गए?", "हाँ!"]),
        ("ar", ["قال د. أحمد ذلك.", "هل هذا صحيح؟", "انظر ص. 5.", "نعم!"]),
        ("fa", ["این یک ربات است.", "آیا راه می‌رود؟", "بله!"]),
        ("bn", ["ড. রহমান এলেন।", "এটি চলে।"]),
    ],
)
def test_sentences_end_where_they_do_in_their_language(language: str, sentences: list[str]) -> None:
    text = " ".join(sentences)
    assert [one.strip() for one in split_sentences(text, language)] == sentences
    assert "".join(split_sentences(text, language)) == text


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("zh", ["这是 ROS 2.0。", "它会走！", "真的吗？"]),
        ("zh-TW", ["這是機器人。", "它會走。"]),
        ("ja", ["これはロボットです。", "歩けますか？", "はい。"]),
    ],
)
def test_sentences_without_spaces_between_them_end_at_their_full_stops(
    language: str, sentences: list[str]
) -> None:
    assert split_sentences("".join(sentences), language) == sentences


def test_a_sentence_ends_before_a_footnote_and_within_emphasis() -> None:
    assert len(split_sentences("It took minutes.[^rudin] The policy runs.", "en")) == 2
    assert len(split_sentences("**Predict.** Use the model.", "en")) == 2


@pytest.mark.parametrize("language", languages())
def test_words_alone_are_cut_as_the_library_would_cut_them(language: str) -> None:
    for text in (
        "and (a) g 1 (a) 1 z Dr (a) I p m   etc",
        "It's his, - not  hers",
        "1 One 2 two - b-c",
        "Dr Who at No 5",
    ):
        assert split_sentences(text, language) == segment(language, text)


def test_nothing_has_no_sentence() -> None:
    assert "".join(split_sentences("", "en")) == ""
