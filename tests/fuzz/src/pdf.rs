//! A PDF file of one page, and how bytes become one stream or object of it.

#[path = "../../../crate/corpus/src/extract/pdf/assemble.rs"]
mod assemble;

use std::borrow::Cow;

use assemble::stream;

/// What bytes can become: the number of an object, and the dictionary of the stream that they are; without one they are
/// the object itself.
const PARTS: [(usize, Option<&str>); 13] = [
    (4, Some("")),
    (4, Some("/Filter/LZWDecode")),
    (4, Some("/Filter/ASCII85Decode")),
    (4, Some("/Filter/RunLengthDecode")),
    (4, Some("/Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 4>>")),
    (8, Some("")),
    (9, Some("/Type/CMap/CMapName/Own")),
    (10, Some("/Length1 400/Length2 800/Length3 0")),
    (11, Some("/Subtype/Type1C")),
    (12, Some("")),
    (5, None),
    (7, None),
    (3, None),
];

/// The file with a part replaced by `bytes` but for their first, whose value chooses it; bytes that open otherwise, as
/// PDF files do, stand for themselves.
pub fn file(bytes: &[u8]) -> Cow<'_, [u8]> {
    match bytes.split_first() {
        Some((&chosen, inner)) if usize::from(chosen) < PARTS.len() => {
            let (number, dictionary) = PARTS[usize::from(chosen)];
            let content = match dictionary {
                Some(dictionary) => stream(dictionary, inner),
                None => inner.to_vec(),
            };
            Cow::Owned(with(number, content))
        }
        _ => Cow::Borrowed(bytes),
    }
}

/// The file with an object of its own.
fn with(number: usize, content: Vec<u8>) -> Vec<u8> {
    let mut objects = objects();
    objects[number - 1] = content;
    assemble::file(&objects)
}

/// The whole file as it stands.
pub fn whole() -> Vec<u8> {
    assemble::file(&objects())
}

/// The objects, numbered from 1: catalog, pages, page, its content; fonts whose program is Type 1 and CFF; one of two
/// bytes a character with its mappings to characters and numbers; font programs; a form.
fn objects() -> Vec<Vec<u8>> {
    let page = "<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F1 5 0 R/F2 6 0 R/F3 7 0 R>>/XObject<</X 12 0 R>>>>\
                /Annots[<</Subtype/FreeText/Rect[50 50 200 90]/AP<</N 12 0 R>>>>]>>";
    let type_1 = "<</Type/Font/Subtype/Type1/BaseFont/Own-Bold/FirstChar 64/Widths[500 600]/Encoding<</Differences[65/A/uni0042]>>\
                  /FontDescriptor<</FontName/Own-Bold/Flags 4/FontFile 10 0 R>>>>";
    let cff = "<</Type/Font/Subtype/Type1/BaseFont/Own/FontDescriptor<</FontName/Own/Flags 4/FontFile3 11 0 R>>>>";
    let two_bytes = "<</Type/Font/Subtype/Type0/BaseFont/Own/Encoding 9 0 R/ToUnicode 8 0 R/DescendantFonts[<</Subtype/CIDFontType2\
                     /CIDSystemInfo<</Registry(Adobe)/Ordering(Japan1)/Supplement 2>>/DW 900/W[1[400 500]10 12 300]/FontDescriptor<</Flags 4>>>>]>>";
    vec![
        b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
        b"<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 600 800]>>".to_vec(),
        page.into(),
        stream("", CONTENT.as_bytes()),
        type_1.into(),
        cff.into(),
        two_bytes.into(),
        stream("", TO_UNICODE.as_bytes()),
        stream("/Type/CMap/CMapName/Own", ENCODING.as_bytes()),
        stream("/Length1 30/Length2 0/Length3 0", b"%!PS-AdobeFont-1.0: Own\n"),
        stream("/Subtype/Type1C", &[1, 0, 4, 1, 0, 1, 1, 1, 4, b'O', b'w', b'n']),
        stream("/Type/XObject/Subtype/Form/BBox[0 0 600 800]", FORM.as_bytes()),
    ]
}

/// Shows text in every font and way.
pub const CONTENT: &str = "q 1 0 0 1 0 0 cm BT /F1 20 Tf 50 750 Td (Keepers of the light) Tj ET
BT /F2 10 Tf 12 TL 50 700 Td [(It) -250 (burns by) 20 ( night)] TJ T* (and by day.) ' 2 1 (wick) \" ET
BT /F3 10 Tf 1 0 0 1 300 700 Tm <00010002000a> Tj 3 Tc 5 Tw 90 Tz 2 Ts <0003> Tj ET
/Span <</ActualText (oil)>> BDC BT /F1 10 Tf 0 1 -1 0 300 400 Tm (x) Tj ET EMC /Artifact BMC EMC
BI /W 1 /H 1 /BPC 8 /CS /G ID x EI 0 0 9 9 re S /X Do Q
";
const FORM: &str = "BT /F1 10 Tf 50 100 Td (A form) Tj ET";
pub const TO_UNICODE: &str = "begincmap 1 begincodespacerange <0000> <FFFF> endcodespacerange
2 beginbfchar <0001> <0041> <0002> <00660066> endbfchar
2 beginbfrange <0003> <0006> <0061> <000a> <000b> [<0062> <D83DDE00>] endbfrange endcmap
";
pub const ENCODING: &str = "begincmap /WMode 0 def 2 begincodespacerange <00> <7F> <8000> <FFFF> endcodespacerange
1 begincidrange <0000> <00FF> 1 endcidrange 1 begincidchar <8001> 9 endcidchar
1 beginnotdefrange <00> <1F> 1 endnotdefrange endcmap
";
