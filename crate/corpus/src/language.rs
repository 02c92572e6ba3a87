//! What language a text is written in.

use whatlang::{Lang, detect};

/// More of a text says no more about its language.
const SAMPLE_BYTES: usize = 4_096;

/// The ISO 639-1 code of a text's language (639-3 where the shorter one is not known here), told by its script and
/// its trigrams; `None` where that is not certain, as for a few words or for code.
pub(crate) fn language(text: &str) -> Option<&'static str> {
    let found = detect(&text[..text.floor_char_boundary(SAMPLE_BYTES)])?;
    found.is_reliable().then(|| match found.lang() {
        Lang::Eng => "en",
        Lang::Ara => "ar",
        Lang::Dan => "da",
        Lang::Nld => "nl",
        Lang::Fin => "fi",
        Lang::Fra => "fr",
        Lang::Deu => "de",
        Lang::Ell => "el",
        Lang::Hun => "hu",
        Lang::Ita => "it",
        Lang::Nob => "nb",
        Lang::Por => "pt",
        Lang::Ron => "ro",
        Lang::Rus => "ru",
        Lang::Spa => "es",
        Lang::Swe => "sv",
        Lang::Tam => "ta",
        Lang::Tur => "tr",
        Lang::Cmn => "zh",
        Lang::Jpn => "ja",
        Lang::Kor => "ko",
        Lang::Pol => "pl",
        Lang::Ukr => "uk",
        Lang::Ces => "cs",
        Lang::Heb => "he",
        other => other.code(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_tells_its_language_and_a_few_words_do_not() {
        let german = "Der Leuchtturmwärter zündet das Feuer bei Sonnenuntergang an und löscht es am Morgen wieder.";
        assert_eq!(language(german), Some("de"));
        assert_eq!(language("The keeper lights the lamp at dusk and puts it out again in the morning."), Some("en"));
        assert_eq!(language("灯台守は日暮れに灯をともし、朝になると消します。"), Some("ja"));
        assert_eq!(language("42"), None);
    }
}
