"""Function words as they are said inside a sentence, before a pause, and when they are stressed."""

WEAK = {
    "a": "ə", "an": "ən", "the": "ðə", "to": "tə", "of": "əv", "and": "ænd", "but": "bʌt", "at": "æt",
    "as": "æz", "for": "fɔɹ", "from": "fɹʌm", "was": "wʌz", "were": "wɜɹ", "his": "hɪz", "him": "hɪm",
    "them": "ðɛm", "me": "mi", "us": "ʌs", "on": "ɔn", "or": "ɔɹ", "so": "sˌO", "must": "mˌʌst",
    "do": "dˌu", "did": "dˌɪd", "than": "ðæn", "your": "jʊɹ", "some": "sˌʌm", "upon": "əpˌɔn",
    "into": "ˌɪntʊ", "nor": "nˌɔɹ", "i": "I", "be": "bi", "o'": "ə", "an'": "ən", "th'": "ðə",
    "d'": "də", "ye": "ji", "yer": "jəɹ", "'em": "əm", "o": "ˈO", "ain't": "ˈAnt", "been": "bɪn",
    "have": "hæv", "has": "hæz", "had": "hæd", "ha'": "hæ", "ha": "hˈɑ", "wi'": "wɪ", "t'": "tə",
}  # fmt: skip
"""Forms inside a sentence where the lexicons' own would be too strong, in their notation."""

BEFORE_VOWEL = {"the": "ði", "to": "tʊ", "th'": "ð"}

AT_PAUSE = {
    "a": "ˈA", "the": "ðˈi", "to": "tˈu", "of": "ˈʌv", "and": "ˈænd", "for": "fˈɔɹ", "from": "fɹˈʌm",
    "was": "wˈʌz", "were": "wˈɜɹ", "at": "ˈæt", "on": "ˈɔn", "upon": "əpˈɔn", "into": "ˈɪntu",
    "do": "dˈu", "did": "dˈɪd", "must": "mˈʌst", "so": "sˈO", "some": "sˈʌm", "than": "ðˈæn",
    "in": "ˈɪn", "with": "wˈɪð", "be": "bˈi", "been": "bˈɪn", "have": "hˈæv", "has": "hˈæz",
    "had": "hˈæd", "is": "ˈɪz", "are": "ˈɑɹ", "am": "ˈæm", "him": "hˌɪm", "them": "ðˌɛm", "me": "mˌi",
    "us": "ˌʌs", "i": "ˈI", "or": "ˈɔɹ", "but": "bˈʌt", "you": "jˌu", "it": "ɪt", "can": "kˈæn",
    "will": "wˈɪl", "not": "nˈɑt",
}  # fmt: skip
"""Forms before a pause: a stranded preposition or auxiliary is not reduced."""

SAID_AS = {
    "sh": "ʃ", "shh": "ʃ", "ssh": "ʃ", "sh't": "ʃt", "s'h't": "ʃt", "hm": "hm", "h'm": "hm",
    "hmm": "hm", "mf": "mf", "psst": "pst", "pst": "pst", "tst": "ts", "tut": "tˈʌt", "d'you": "ʤu",
    "d'ye": "ʤi", "y'know": "jənˈO", "'thout": "ðWt", "'nough": "nˈʌf", "'low": "lˈW", "'lowed": "lˈWd",
    "'n": "ən", "'stead": "stˈɛd", "'deed": "dˈid", "'tain't": "tˈAnt", "sha'n't": "ʃˈænt",
    "sha'nt": "ʃˈænt", "ha'nt": "hˈænt", "ha'nted": "hˈæntᵻd", "outré": "utɹˈA",
    "streatham": "stɹˈɛtəm", "holborn": "hˈObəɹn", "jabez": "ʤˈAbɛz", "meryton": "mˈɛɹətən",
    "moran": "məɹˈæn", "éclat": "Aklˈɑ", "'twouldn't": "twˈʊdənt", "'bout": "bˈWt", "becuz": "bəkˈʌz",
    "kep'": "kˈɛp", "das't": "dˈæst", "p'ison": "pˈIzən",
}  # fmt: skip
"""Interjections, contractions and a few words in dialect or off the map that the lexicons lack."""
