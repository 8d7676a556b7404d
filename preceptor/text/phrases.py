"""Preceptor's own sentences to readers in their language, and detection of that language.

A question is short, so its script is checked first. Among languages of one script the function words decide,
of which almost every question has a few. Without any ("qos depth"), the language is unknown.
"""

import re
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrases:
    """Preceptor's sentences in one language."""

    not_covered: str
    """Says that the book has no answer."""
    not_searched: str
    """Says that the question is in another language than the book, and only a model could translate it."""
    not_selected: str
    """Says that the marked text has no answer, and nothing else was searched."""
    nearest: str
    """Introduces the names of chapters."""
    only_quotes: str
    """Introduces quotations in the book's language."""
    begun_again: str
    """Introduces an answer that another tutor starts over."""


def phrases(question: str) -> Phrases:
    """Returns the phrases in the question's language; in English if that has none or is unknown."""
    return _PHRASES.get(language_of(question) or "", _ENGLISH)


def language_of(question: str) -> str | None:
    """Returns the language of a question as a BCP 47 tag; None if it cannot be detected."""
    for letters, languages in _SCRIPTS:
        if len(re.findall(f"[{letters}]", question)) >= _SHARE * sum(map(str.isalpha, question)) > 0:
            return _by_small_words(question, languages) or languages[-1]
    return _by_small_words(question, tuple(_LATIN))


def language_name(tag: str) -> str:
    """Returns the English name of a language, for a model; its tag if the name is unknown."""
    return _NAMES.get(tag.split("-")[0].lower(), f"the language `{tag}`")


def wants_code(question: str) -> bool:
    """Whether a question asks to be shown code or a command."""
    return bool(_WANTS_CODE.search(question))


def _by_small_words(question: str, languages: tuple[str, ...]) -> str | None:
    """Language whose function words dominate; a word of several languages counts for each in part."""
    words = Counter(re.findall(r"[^\W\d_]+", question.lower()))
    score = dict.fromkeys(languages, 0.0)
    for word, count in words.items():
        having = [language for language in languages if word in SMALL.get(language, ())]
        for language in having:
            score[language] += count / len(having)
    for language in languages:
        score[language] += 0.5 * len(set(question) & set(_LETTERS.get(language, "")))
    best, second = sorted(score.values(), reverse=True)[:2] if len(score) > 1 else (1.0, 0.0)
    return max(score, key=lambda one: score[one]) if best > second else None


_SHARE = 0.3
"""Least share of a question's letters: names and terms in Latin letters are common in any language."""

_SCRIPTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff", ("fa", "ur", "ar")),
    ("\u3040-\u30ff", ("ja",)),
    ("\u4e00-\u9fff\u3400-\u4dbf", ("zh",)),
    ("\uac00-\ud7af", ("ko",)),
    ("\u0900-\u097f", ("hi",)),
    ("\u0400-\u04ff", ("uk", "ru")),
    ("\u0370-\u03ff", ("el",)),
    ("\u0590-\u05ff", ("he",)),
    ("\u0e00-\u0e7f", ("th",)),
    ("\u0980-\u09ff", ("bn",)),
)
"""Ranges of letters and the languages written with them, the most common last."""

_LETTERS = {
    "ur": "ٹڈڑںھہۂےۓ",
    "fa": "پچژگ‌",
    "ar": "ةىأإؤ",
    "uk": "іїєґ",
    "ru": "ыэъё",
    "es": "ñ¿¡",
    "fr": "çœêèùû",
    "de": "ßäöü",
    "pt": "ãõ",
    "tr": "ğışİç",
}
"""Letters that one language uses and its neighbours use seldom or never."""

_LATIN = {
    "en": "what which who whom whose when where why how is are was were do does did can could should would will the "
    "an of in on to and or for with from by at it its this that these those there i my me you your we our not "
    "show tell explain between about if than difference as be been has have had not no so but more most into over "
    "after before while only also some any each every all both one two out up such then they them its their",
    "es": "qué cuál cuáles quién quiénes cuándo dónde cómo cuánto cuántos cuántas por es son fue era el la los las un "
    "una unos de del en y para con sin entre se su sus lo al que como cuando donde no me mi puedo hay sirve "
    "este esta hace hacer tiene si funciona diferencia",
    "fr": "que quoi quel quelle quels quelles qui quand où comment combien pourquoi est sont était le la les un une "
    "des du de et ou dans pour avec sans entre sur ce cette ces se sa ses son il elle je mon ma mes peut puis "
    "faut au aux en ne pas qu c l d y a différence",
    "de": "was welche welcher welches wer wen wem wann wo warum wie wieviel ist sind war der die das den dem des ein "
    "eine einen einem einer und oder in im mit ohne zwischen für von vom zu zum zur auf aus bei nicht ich mein "
    "meine man kann muss wird werden gibt es wenn als unterschied",
    "pt": "que qual quais quem quando onde como quanto quantos por porque é são foi era o a os as um uma uns de do da "
    "dos das em no na nos nas e ou para com sem entre se seu sua não meu minha posso há faz fazer tem ao à funciona "
    "diferença",
    "id": "apa apakah siapa kapan di mana dimana mengapa kenapa bagaimana berapa adalah itu ini yang dan atau untuk "
    "dengan tanpa dari ke pada dalam antara saya bisa dapat cara perbedaan tidak ada oleh sebuah jika",
    "tr": "ne nedir neden niçin nasıl hangi kim kaç nerede zaman ve veya ile için bir bu şu mi mı mu mü midir mıdır "
    "arasındaki fark ben benim var yok olan nelerdir gibi daha çok değil eder olur yapılır",
    "it": "che cosa quale quali chi quando dove come quanto quanti perché è sono era il lo la i gli le un uno una di "
    "del della dei delle e in nel nella per con senza tra fra si suo sua non mio posso come cos qual",
    "nl": "wat welke wie wanneer waar waarom hoe is zijn was de het een en of in met zonder tussen voor van naar op "
    "bij niet ik mijn kan moet wordt er dat die dit deze als",
}
_OTHER_SCRIPTS = {
    "ur": "کیا کیسے کیسی کیوں کب کہاں کون کونسا کونسی ہے ہیں تھا تھی تھے ہو ہوں کا کی کے کو میں سے پر تک نے اور یا "
    "نہیں ہوتا ہوتی ہوتے کرتا کرتی کرتے کرنا کرنے کر جاتا جاتی جاتے والا والے والی مراد فرق درمیان یہ وہ اس ان چاہیے "
    "کس جس جو سکتا سکتی سکتے",
    "fa": "چیست چه چرا چگونه چطور کی کجا کدام است هستند بود را در از به با برای و یا این آن می شود کند کنم کرد شد "
    "های ها تفاوت بین آیا یک که",
    "hi": "क्या कैसे क्यों कब कहाँ कौन कौनसा है हैं था थी थे हो का की के को में से पर तक ने और या नहीं होता होती "
    "होते करता करती करते करना कर जाता जाती जाते वाला वाले यह वह इस उस चाहिए किस जो",
    "ar": "ما ماذا هل كيف لماذا متى أين من هو هي هذا هذه في على إلى عن مع بين و أو التي الذي كم أي لا ليس يمكن الفرق",
    "uk": "що як чому коли де хто який яка яке які є це та і й або для з між у в на чи не",
    "ru": "что как почему когда где кто какой какая какое какие это и или для с между в на ли не чем есть",
}
SMALL = {language: frozenset(words.split()) for language, words in {**_LATIN, **_OTHER_SCRIPTS}.items()}
"""Function words by language."""

_WANTS_CODE = re.compile(
    r"\b(?:code|snippets?|commands?|scripts?|syntax|example program|show me|"
    r"how (?:do|can|would) (?:i|you|we) (?:write|implement|program|print|run|start|launch|install|call|create)|"
    r"código|comandos?|guion|muéstrame|programa de ejemplo|commandes?|extrait|montre(?:z|-moi)?|quelltext|"
    r"quellcode|befehle?|skript|zeig(?:e|en)?|mostre|trecho|kode|perintah|contoh program|kodu?|komutu?|göster|"
    r"код[а-я]*|команд[а-я]*|скрипт[а-я]*|покажи(?:те)?)\b"
    r"|کوڈ|کمانڈ|كود|شيفرة|أمر |الأوامر|کد |دستور|कोड|कमांड|代码|代碼|命令|コード|コマンド|코드|명령",
    re.IGNORECASE,
)

_NAMES = {
    "ar": "Arabic",
    "bn": "Bengali",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fa": "Persian",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "pt": "Portuguese",
    "ru": "Russian",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "zh": "Chinese",
}

_ENGLISH = Phrases(
    not_covered="The book does not cover this.",
    not_searched="I can search the book only in its own language at the moment, and found nothing for this question.",
    not_selected="No sentence of the marked text answers this.",
    nearest="Nearest chapters:",
    only_quotes="I can only quote the book right now:",
    begun_again="The answer broke off; here it is from the beginning.",
)
_PHRASES = {
    "en": _ENGLISH,
    "ur": Phrases(
        not_covered="یہ کتاب اس سوال کا احاطہ نہیں کرتی۔",
        not_searched="اس وقت میں کتاب میں صرف اس کی اپنی زبان میں تلاش کر سکتا ہوں، اور اس سوال کے لیے کچھ نہیں ملا۔",
        not_selected="نشان زدہ متن میں اس کا جواب نہیں ہے۔",
        nearest="قریب ترین ابواب:",
        only_quotes="اس وقت میں صرف کتاب سے اقتباس دے سکتا ہوں:",
        begun_again="جواب درمیان میں رک گیا تھا؛ یہ شروع سے دوبارہ ہے۔",
    ),
    "ar": Phrases(
        not_covered="لا يتناول الكتاب هذا السؤال.",
        not_searched="لا أستطيع حاليًا البحث في الكتاب إلا بلغته، ولم أجد شيئًا عن هذا السؤال.",
        not_selected="لا يجيب النص المحدد عن هذا السؤال.",
        nearest="أقرب الفصول:",
        only_quotes="لا أستطيع حاليًا إلا الاقتباس من الكتاب:",
        begun_again="انقطعت الإجابة؛ وها هي من البداية.",
    ),
    "fa": Phrases(
        not_covered="کتاب به این پرسش نمی‌پردازد.",
        not_searched="در حال حاضر فقط می‌توانم به زبان خود کتاب در آن جست‌وجو کنم و برای این پرسش چیزی پیدا نکردم.",
        not_selected="متن انتخاب‌شده به این پرسش پاسخ نمی‌دهد.",
        nearest="نزدیک‌ترین فصل‌ها:",
        only_quotes="در حال حاضر فقط می‌توانم از کتاب نقل کنم:",
        begun_again="پاسخ نیمه‌تمام ماند؛ این هم پاسخ از ابتدا.",
    ),
    "hi": Phrases(
        not_covered="इस प्रश्न का उत्तर पुस्तक में नहीं है।",
        not_searched="अभी मैं पुस्तक में केवल उसी की भाषा में खोज सकता हूँ, और इस प्रश्न के लिए कुछ नहीं मिला।",
        not_selected="चुने गए पाठ में इसका उत्तर नहीं है।",
        nearest="निकटतम अध्याय:",
        only_quotes="अभी मैं केवल पुस्तक से उद्धरण दे सकता हूँ:",
        begun_again="उत्तर बीच में रुक गया था; यह शुरू से दोबारा है।",
    ),
    "zh": Phrases(
        not_covered="本书没有涉及这个问题。",
        not_searched="目前我只能用本书的语言检索，没有找到与这个问题有关的内容。",
        not_selected="所选文字没有回答这个问题。",
        nearest="最接近的章节：",
        only_quotes="目前我只能引用书中的原文：",
        begun_again="刚才的回答中断了，下面从头开始。",
    ),
    "es": Phrases(
        not_covered="El libro no trata esta cuestión.",
        not_searched="Por ahora solo puedo buscar en el libro en su propio idioma y no he encontrado nada sobre esta "
        "pregunta.",
        not_selected="El texto seleccionado no responde a esta pregunta.",
        nearest="Capítulos más cercanos:",
        only_quotes="Por ahora solo puedo citar el libro:",
        begun_again="La respuesta se interrumpió; aquí está desde el principio.",
    ),
    "fr": Phrases(
        not_covered="Le livre ne traite pas cette question.",
        not_searched="Pour le moment, je ne peux chercher dans le livre que dans sa propre langue, et je n'ai rien "
        "trouvé pour cette question.",
        not_selected="Le texte sélectionné ne répond pas à cette question.",
        nearest="Chapitres les plus proches :",
        only_quotes="Pour le moment, je ne peux que citer le livre :",
        begun_again="La réponse a été interrompue ; la voici depuis le début.",
    ),
    "de": Phrases(
        not_covered="Das Buch behandelt diese Frage nicht.",
        not_searched="Im Moment kann ich das Buch nur in seiner eigenen Sprache durchsuchen und habe zu dieser Frage "
        "nichts gefunden.",
        not_selected="Der markierte Text beantwortet diese Frage nicht.",
        nearest="Nächstliegende Kapitel:",
        only_quotes="Im Moment kann ich nur aus dem Buch zitieren:",
        begun_again="Die Antwort brach ab; hier ist sie von Anfang an.",
    ),
    "pt": Phrases(
        not_covered="O livro não trata desta questão.",
        not_searched="No momento, só posso pesquisar no livro no idioma dele e não encontrei nada sobre esta pergunta.",
        not_selected="O texto selecionado não responde a esta pergunta.",
        nearest="Capítulos mais próximos:",
        only_quotes="No momento, só posso citar o livro:",
        begun_again="A resposta foi interrompida; aqui está ela desde o início.",
    ),
    "id": Phrases(
        not_covered="Buku ini tidak membahas pertanyaan tersebut.",
        not_searched="Saat ini saya hanya dapat mencari di buku ini dalam bahasanya sendiri, dan tidak menemukan apa "
        "pun untuk pertanyaan ini.",
        not_selected="Teks yang ditandai tidak menjawab pertanyaan ini.",
        nearest="Bab terdekat:",
        only_quotes="Saat ini saya hanya dapat mengutip buku ini:",
        begun_again="Jawaban terputus; berikut jawabannya dari awal.",
    ),
    "tr": Phrases(
        not_covered="Kitap bu konuyu ele almıyor.",
        not_searched="Şu anda kitapta yalnızca kendi dilinde arama yapabiliyorum ve bu soru için bir şey bulamadım.",
        not_selected="Seçilen metin bu soruyu yanıtlamıyor.",
        nearest="En yakın bölümler:",
        only_quotes="Şu anda yalnızca kitaptan alıntı yapabiliyorum:",
        begun_again="Yanıt yarıda kesildi; baştan veriyorum.",
    ),
    "ru": Phrases(
        not_covered="В книге нет ответа на этот вопрос.",
        not_searched="Сейчас я могу искать в книге только на её языке, и по этому вопросу ничего не нашлось.",
        not_selected="В выделенном тексте нет ответа на этот вопрос.",
        nearest="Ближайшие главы:",
        only_quotes="Сейчас я могу только цитировать книгу:",
        begun_again="Ответ прервался; вот он с самого начала.",
    ),
    "ja": Phrases(
        not_covered="この本はその質問を扱っていません。",
        not_searched="現在は本の言語でしか検索できず、この質問に合う箇所は見つかりませんでした。",
        not_selected="選択された文章には、この質問の答えがありません。",
        nearest="最も近い章：",
        only_quotes="現在は本からの引用しかできません：",
        begun_again="回答が途中で途切れたため、最初からお答えします。",
    ),
    "ko": Phrases(
        not_covered="이 책은 그 질문을 다루지 않습니다.",
        not_searched="지금은 책의 언어로만 검색할 수 있으며, 이 질문에 맞는 내용을 찾지 못했습니다.",
        not_selected="선택한 글에는 이 질문의 답이 없습니다.",
        nearest="가장 가까운 장:",
        only_quotes="지금은 책을 인용하는 것만 가능합니다:",
        begun_again="답변이 중간에 끊겨 처음부터 다시 보여 드립니다.",
    ),
    "it": Phrases(
        not_covered="Il libro non tratta questa domanda.",
        not_searched="Al momento posso cercare nel libro solo nella sua lingua e non ho trovato "
        "nulla su questa domanda.",
        not_selected="Il testo selezionato non risponde a questa domanda.",
        nearest="Capitoli più vicini:",
        only_quotes="Al momento posso solo citare il libro:",
        begun_again="La risposta si è interrotta; eccola dall'inizio.",
    ),
    "nl": Phrases(
        not_covered="Het boek behandelt deze vraag niet.",
        not_searched="Op dit moment kan ik het boek alleen in zijn eigen taal doorzoeken; over deze "
        "vraag heb ik niets gevonden.",
        not_selected="De gemarkeerde tekst beantwoordt deze vraag niet.",
        nearest="Dichtstbijzijnde hoofdstukken:",
        only_quotes="Op dit moment kan ik alleen uit het boek citeren:",
        begun_again="Het antwoord brak af; hier is het vanaf het begin.",
    ),
    "uk": Phrases(
        not_covered="У книзі немає відповіді на це запитання.",
        not_searched="Зараз я можу шукати в книзі лише її мовою, і на це запитання нічого не знайшлося.",
        not_selected="У виділеному тексті немає відповіді на це запитання.",
        nearest="Найближчі розділи:",
        only_quotes="Зараз я можу лише цитувати книгу:",
        begun_again="Відповідь перервалася; ось вона з самого початку.",
    ),
    "el": Phrases(
        not_covered="Το βιβλίο δεν καλύπτει αυτή την ερώτηση.",
        not_searched="Προς το παρόν μπορώ να ψάξω στο βιβλίο μόνο στη γλώσσα του και δεν βρήκα "
        "τίποτα για αυτή την ερώτηση.",
        not_selected="Το επιλεγμένο κείμενο δεν απαντά σε αυτή την ερώτηση.",
        nearest="Πλησιέστερα κεφάλαια:",
        only_quotes="Προς το παρόν μπορώ μόνο να παραθέσω το βιβλίο:",
        begun_again="Η απάντηση διακόπηκε· ορίστε από την αρχή.",
    ),
    "he": Phrases(
        not_covered="הספר אינו עוסק בשאלה הזאת.",
        not_searched="כרגע אני יכול לחפש בספר רק בשפתו, ולא מצאתי דבר על השאלה הזאת.",
        not_selected="הטקסט המסומן אינו עונה על השאלה הזאת.",
        nearest="הפרקים הקרובים ביותר:",
        only_quotes="כרגע אני יכול רק לצטט מן הספר:",
        begun_again="התשובה נקטעה; הנה היא מההתחלה.",
    ),
    "th": Phrases(
        not_covered="หนังสือเล่มนี้ไม่ได้กล่าวถึงคำถามนี้",
        not_searched="ขณะนี้ฉันค้นหาในหนังสือได้เฉพาะในภาษาของหนังสือเท่านั้น และไม่พบอะไรสำหรับคำถามนี้",
        not_selected="ข้อความที่เลือกไม่ได้ตอบคำถามนี้",
        nearest="บทที่ใกล้เคียงที่สุด:",
        only_quotes="ขณะนี้ฉันทำได้เพียงยกข้อความจากหนังสือ:",
        begun_again="คำตอบขาดหายไป นี่คือคำตอบตั้งแต่ต้น",
    ),
    "bn": Phrases(
        not_covered="বইটিতে এই প্রশ্নের উত্তর নেই।",
        not_searched="এই মুহূর্তে আমি বইটিতে শুধু তার নিজের ভাষায় খুঁজতে পারি, আর এই প্রশ্নের জন্য কিছু পাইনি।",
        not_selected="চিহ্নিত লেখায় এই প্রশ্নের উত্তর নেই।",
        nearest="নিকটতম অধ্যায়:",
        only_quotes="এই মুহূর্তে আমি শুধু বই থেকে উদ্ধৃতি দিতে পারি:",
        begun_again="উত্তরটি মাঝপথে থেমে গিয়েছিল; এখানে শুরু থেকে দেওয়া হলো।",
    ),
}
