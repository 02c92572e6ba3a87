use super::assemble::{file, stream};
use super::*;
use crate::Document;

const HELVETICA: &str = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>";
const PROSE: [&str; 8] = [
    "The quay is long and the water below is deep at",
    "all states of the tide, so that boats may lie there",
    "by day and by night without a thought for the",
    "sand. Only the north end falls dry in spring, when",
    "the moon is new and the wind has been in the east",
    "for a week or more. Then the harbour master puts",
    "out a red flag and the ferry goes to the other",
    "shore, where the stones are older and less even.",
];

/// Pages of these contents. Fonts: `F1` is Helvetica, `F2` its bold, `F3` as given; `X` is an object of its own.
fn pages_with(contents: &[Vec<u8>], font: &str, x: Vec<u8>) -> Vec<u8> {
    let kids: String = (0..contents.len()).map(|i| format!("{} 0 R ", 7 + 2 * i)).collect();
    let mut objects: Vec<Vec<u8>> = vec![
        b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
        format!("<</Type/Pages/Kids[{kids}]/Count {}/MediaBox[0 0 600 800]>>", contents.len()).into(),
        HELVETICA.into(),
        HELVETICA.replace("Helvetica", "Helvetica-Bold").into(),
        font.into(),
        x,
    ];
    for (i, content) in contents.iter().enumerate() {
        let resources = "<</Font<</F1 3 0 R/F2 4 0 R/F3 5 0 R>>/XObject<</X 6 0 R>>>>";
        objects.push(format!("<</Type/Page/Parent 2 0 R/Contents {} 0 R/Resources{resources}>>", 8 + 2 * i).into());
        objects.push(content.clone());
    }
    file(&objects)
}

fn pages(contents: &[String]) -> Vec<u8> {
    let contents: Vec<Vec<u8>> = contents.iter().map(|content| stream("", content.as_bytes())).collect();
    pages_with(&contents, HELVETICA, b"null".to_vec())
}

/// A line of text in the font `font` of `size` points.
fn show(font: &str, size: f32, x: f32, y: f32, text: &str) -> String {
    format!("BT /{font} {size} Tf 1 0 0 1 {x} {y} Tm ({text}) Tj ET\n")
}

fn lines(x: f32, top: f32, lines: &[&str]) -> String {
    lines.iter().enumerate().map(|(i, line)| show("F1", 10.0, x, top - 12.0 * i as f32, line)).collect()
}

fn read(bytes: &[u8]) -> Document {
    crate::extract("a.pdf", bytes, None).unwrap()
}

fn refusal(bytes: &[u8]) -> CorpusError {
    crate::extract("a.pdf", bytes, None).unwrap_err()
}

#[test]
fn columns_are_read_one_after_another_under_what_spans_them() {
    let mut content = String::new();
    for (i, line) in PROSE.iter().enumerate() {
        let y = 700.0 - 12.0 * i as f32;
        content += &show("F1", 10.0, 50.0, y, line);
        content += &show("F1", 10.0, 310.0, y - 3.0, &line.to_uppercase().replace('.', "!"));
    }
    content += &show("F1", 20.0, 130.0, 750.0, "Tides of the northern harbours");
    let document = read(&pages(&[content]));
    let left = PROSE.join(" ");
    let right = left.to_uppercase().replace('.', "!");
    assert_eq!(document.text, format!("Tides of the northern harbours\n\n{left}\n\n{right}"));
    assert_eq!(document.title.as_deref(), Some("Tides of the northern harbours"));
    assert_eq!((document.format, document.encoding), (Format::Pdf, None));
}

#[test]
fn the_short_cells_of_a_table_are_read_by_rows() {
    let rows = ["Leith|6.10|5.6 m", "Dover|11.02|6.7 m", "Cuxhaven|0.40|3.3 m"];
    let mut content = lines(50.0, 600.0, &PROSE);
    for (i, row) in rows.iter().enumerate() {
        for (j, cell) in row.split('|').enumerate() {
            content += &show("F1", 10.0, 50.0 + 90.0 * j as f32, 450.0 - 12.0 * i as f32, cell);
        }
    }
    let document = read(&pages(&[content]));
    let expected = "Leith | 6.10 | 5.6 m\n\nDover | 11.02 | 6.7 m\n\nCuxhaven | 0.40 | 3.3 m";
    assert!(document.text.ends_with(expected), "{}", document.text);
}

#[test]
fn a_hyphen_goes_where_only_the_line_end_put_it() {
    let text = [
        "A well-known inter-",
        "national port, as well-",
        "known as any in Prus-",
        "sia, or Post-",
        "War Europe: 1914-",
        "1918.",
    ];
    assert_eq!(
        read(&pages(&[lines(50.0, 700.0, &text)])).text,
        "A well-known international port, as well-known as any in Prussia, or Post-War Europe: 1914-1918."
    );
}

#[test]
fn paragraphs_part_at_gaps_indents_and_short_lines() {
    let content = lines(50.0, 700.0, &[PROSE[0], PROSE[1], PROSE[2], "sand."])
        + &lines(62.0, 652.0, &["Indented lines begin a paragraph here too,"])
        + &lines(50.0, 640.0, &["and it goes on at the margin as it should."])
        + &lines(50.0, 610.0, &["A gap does it as well, for one line or two."]);
    let parts: Vec<String> = read(&pages(&[content])).text.split("\n\n").map(str::to_owned).collect();
    assert_eq!(parts.len(), 3, "{parts:?}");
    assert!(parts[1].starts_with("Indented") && parts[1].ends_with("should."));
}

#[test]
fn items_and_entries_are_paragraphs_and_keep_their_marks() {
    let items = ["Bring a lamp.", "Bring a rope of", "Bring bread.", "Bring water.", "Bring a map.", "Bring time."];
    let mut content = String::new();
    for (i, item) in items.iter().enumerate() {
        let y = 700.0 - 12.0 * i as f32;
        content += &(show("F1", 10.0, 50.0, y, "\\267") + &show("F1", 10.0, 62.0, y, item));
    }
    content += &lines(50.0, 500.0, &["1 Tides . . . . . . . . . . . . . . 3", "2 Currents ................... 12"]);
    let font = HELVETICA.replace(">>", "/Encoding<</Differences[183/bullet]>>>>");
    let content = content.replace("/F1 10 Tf 1 0 0 1 50", "/F3 10 Tf 1 0 0 1 50");
    let document = read(&pages_with(&[stream("", content.as_bytes())], &font, b"null".to_vec()));
    let items = items.map(|item| format!("• {item}")).join("\n\n");
    assert_eq!(document.text, format!("{items}\n\n1 Tides … 3\n\n2 Currents … 12"));
}

#[test]
fn furniture_is_left_out_and_pages_begin_where_their_text_does() {
    let page = |n: usize, body: &[&str]| {
        show("F1", 8.0, 50.0, 780.0, "Harbours of the North")
            + &lines(50.0, 700.0, body)
            + &show("F1", 8.0, 290.0, 30.0, &format!("Page {n}"))
    };
    let document =
        read(&pages(&[page(1, &PROSE[..2]), page(2, &["by ship."]), page(3, &[]), page(4, &["Last of all."])]));
    let first = PROSE[..2].join(" ");
    assert_eq!(document.text, format!("{first} by ship.\n\nLast of all."));
    let second = first.len() + 1;
    let last = document.text.find("Last").unwrap();
    assert_eq!(document.pages, [0, second, last, last]);
    assert!(document.warnings.is_empty(), "{:?}", document.warnings);
}

#[test]
fn headings_are_what_is_larger_or_bold_and_know_their_page() {
    let page = |heading: &str, size: f32, bold: &str| {
        show("F1", size, 50.0, 740.0, heading) + &show("F2", 10.0, 50.0, 720.0, bold) + &lines(50.0, 700.0, &PROSE)
    };
    let document = read(&pages(&[page("Tides", 24.0, "At new moon"), page("Currents", 16.0, "In the sound")]));
    let found: Vec<_> = document.sections.iter().map(|s| (s.title.as_str(), s.level, s.page)).collect();
    assert_eq!(
        found,
        [("Tides", 1, Some(1)), ("At new moon", 3, Some(1)), ("Currents", 2, Some(2)), ("In the sound", 3, Some(2))]
    );
}

#[test]
fn the_outline_tells_the_headings_where_there_is_one() {
    let page = show("F1", 24.0, 50.0, 740.0, "Harbours")
        + &lines(50.0, 700.0, &PROSE)
        + &lines(50.0, 590.0, &["1. Tides"])
        + &lines(50.0, 560.0, &PROSE)
        + &lines(50.0, 440.0, &["1.1 Neap tides"])
        + &show("F2", 10.0, 50.0, 410.0, "A bold line")
        + &lines(50.0, 390.0, &PROSE);
    let outline = "<</Type/Catalog/Pages 2 0 R/Outlines<</First<</Title(Tides)/First<</Title(Neap tides)>>>>>>>>";
    let bytes = String::from_utf8(pages(&[page])).unwrap().replacen("<</Type/Catalog/Pages 2 0 R>>", outline, 1);
    let document = read(bytes.as_bytes());
    let found: Vec<_> = document.sections.iter().map(|s| (s.title.as_str(), s.level)).collect();
    assert_eq!(found, [("Harbours", 1), ("1. Tides", 1), ("1.1 Neap tides", 2)]);
}

#[test]
fn right_to_left_text_is_in_the_order_in_which_it_is_read() {
    let font = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/FirstChar 65/LastChar 71/Widths[500 500 500 500 500 500 500]\
        /Encoding<</Differences[65/uni05E9/uni05DC/uni05D5/uni05DD/uni05DB/parenleft/parenright]>>>>";
    // From left to right as it is drawn: the second word, a number, the first word.
    let content = show("F3", 10.0, 50.0, 700.0, "FDBEG")
        + &show("F1", 10.0, 90.0, 700.0, "123")
        + &show("F3", 10.0, 120.0, 700.0, "DCBA");
    let bytes = pages_with(&[stream("", content.as_bytes())], font, b"null".to_vec());
    assert_eq!(read(&bytes).text, "שלום 123 (כלם)");
}

#[test]
fn vertical_japanese_is_read_downward_and_from_the_right() {
    let font = "<</Type/Font/Subtype/Type0/BaseFont/HeiseiMin/Encoding/UniJIS-UCS2-V/DescendantFonts[<</Type/Font\
        /Subtype/CIDFontType0/BaseFont/HeiseiMin/CIDSystemInfo<</Registry(Adobe)/Ordering(Japan1)/Supplement 2>>>>]>>";
    let column = |x: f32, hex: &str| format!("BT /F3 20 Tf 1 0 0 1 {x} 700 Tm <{hex}> Tj ET\n");
    // 日本語 on the left, 東京の on the right.
    let content = column(460.0, "65E5672C8A9E") + &column(500.0, "67714EAC306E");
    let bytes = pages_with(&[stream("", content.as_bytes())], font, b"null".to_vec());
    assert_eq!(read(&bytes).text, "東京の日本語");
}

#[test]
fn what_a_mark_says_replaces_what_is_drawn() {
    let content = "/Span <</ActualText (fine)>> BDC ".to_owned()
        + &show("F1", 10.0, 50.0, 700.0, "f1ne")
        + "EMC /Artifact BMC "
        + &show("F1", 10.0, 50.0, 780.0, "Confidential")
        + "EMC";
    assert_eq!(read(&pages(&[content])).text, "fine");
}

#[test]
fn refusals_say_what_is_wrong() {
    let picture =
        || stream("/Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8", b"\0");
    let scan = |contents: &[&str]| {
        let contents: Vec<Vec<u8>> = contents.iter().map(|content| stream("", content.as_bytes())).collect();
        pages_with(&contents, HELVETICA, picture())
    };
    let empty = refusal(&scan(&[""]));
    assert_eq!(empty, CorpusError::Empty);
    let pictures = refusal(&scan(&["/X Do", "q BI /W 1 ID \x01 EI Q"]));
    assert_eq!(pictures, CorpusError::NoText { what: "a scan of 2 pages".into() });
    assert_eq!(refusal(b"%PDF-1.7\nnothing").code(), "file-damaged");
    assert_eq!(refusal(b"").code(), "file-empty");

    let text = show("F1", 10.0, 50.0, 700.0, "Words");
    let mixed = read(&scan(&["/X Do", &text, "/X Do", "/X Do"]));
    assert_eq!(mixed.text, "Words");
    assert!(mixed.warnings[0].starts_with("Pages 1, 3–4 hold no text"), "{:?}", mixed.warnings);

    let junk = [b"From: me\r\n\r\n", &pages(std::slice::from_ref(&text))[..]].concat();
    assert_eq!(read(&junk).text, "Words");
    assert_eq!(crate::extract("a.pdf", b"<!doctype html><p>14 crowns", None).unwrap().format, Format::Html);
}

#[test]
fn a_file_that_breaks_off_says_so() {
    let picture = stream("/Type/XObject/Subtype/Image/Width 1/Height 1", b"\0");
    let words = stream("", show("F1", 10.0, 50.0, 700.0, "Words").as_bytes());
    let whole = pages_with(&[stream("", b"/X Do"), words.clone(), words], HELVETICA, picture);
    assert_eq!(read(&whole).warnings.len(), 1, "a picture: {:?}", read(&whole).warnings);
    let until = |object: &[u8]| &whole[..whole.windows(object.len()).position(|part| part == object).unwrap()];

    let broken = read(until(b"12 0 obj"));
    assert_eq!(broken.text, "Words");
    assert_eq!(broken.warnings[0], "The file breaks off before its end; what comes before was read.");
    assert!(broken.warnings[1].starts_with("Page 3 could not be read in full"), "{:?}", broken.warnings);
    // Only the page of the picture is left, which does not make the file a scan.
    let reason = "it breaks off before its end".to_owned();
    assert_eq!(refusal(until(b"10 0 obj")), CorpusError::Damaged { reason });
}

#[test]
fn a_file_that_lost_bytes_within_says_so() {
    let mut bytes = pages(&[show("F1", 10.0, 50.0, 700.0, "Words"), show("F1", 10.0, 50.0, 700.0, "more")]);
    bytes.drain(60..64);
    let document = read(&bytes);
    assert!(document.text.ends_with("more"), "{}", document.text);
    assert!(document.warnings[0].starts_with("The file is damaged: "), "{:?}", document.warnings);
}

#[test]
fn a_page_that_is_damaged_costs_only_itself() {
    let good = show("F1", 10.0, 50.0, 700.0, "Words");
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(lines(50.0, 700.0, &PROSE).as_bytes(), 6);
    let broken = stream("/Filter/FlateDecode", &packed[..packed.len() / 2]);
    let document = read(&pages_with(&[stream("", good.as_bytes()), broken], HELVETICA, b"null".to_vec()));
    assert!(document.text.starts_with("Words"));
    assert!(document.warnings[0].starts_with("Page 2 could not be read in full"), "{:?}", document.warnings);
}

#[test]
fn small_files_that_would_grow_without_bound_are_read_within_bounds() {
    let text = show("F3", 10.0, 50.0, 700.0, "Words") + &show("F1", 10.0, 50.0, 600.0, "here");
    let with_font = |font: &str| pages_with(&[stream("", text.as_bytes())], font, b"null".to_vec());
    let huge_widths = HELVETICA.replace(">>", "/FirstChar 4000000000/LastChar 4000000000/Widths[1]>>");
    assert_eq!(read(&with_font(&huge_widths)).text, "here");
    let huge_ranges = "<</Type/Font/Subtype/Type0/BaseFont/A/Encoding/Identity-H/DescendantFonts[<</Type/Font/Subtype\
        /CIDFontType2/BaseFont/A/W[0 4294967295 500]>>]>>";
    assert_eq!(read(&with_font(huge_ranges)).text, "here");

    let runs = [129, 0].repeat(stream::MAX_STREAM_BYTES / 128 + 1);
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(&runs, 1);
    for bomb in [stream("/Filter/RunLengthDecode", &runs), stream("/Filter[/FlateDecode/RunLengthDecode]", &packed)] {
        assert_eq!(refusal(&pages_with(&[bomb], HELVETICA, b"null".to_vec())).code(), "file-too-large");
    }
    let form = stream("/Type/XObject/Subtype/Form/Resources<</XObject<</X 6 0 R>>>>", "/X Do ".repeat(40).as_bytes());
    let content = stream("", (text.clone() + &"/X Do ".repeat(40)).as_bytes());
    assert!(read(&pages_with(&[content], HELVETICA, form)).text.starts_with("Words"));

    for (open, n) in [("[ ", 100_000), ("<< ", 100_000), ("q ", 100_000), ("BI ", 100_000), ("( ", 100_000)] {
        let content = text.clone() + &open.repeat(n);
        if let Ok(document) = crate::extract("a.pdf", &pages(&[content]), None) {
            assert!(document.text.starts_with("Words"), "{open}");
        }
    }
}
