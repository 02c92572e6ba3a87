use crate::{
    CorpusError, Document, extract,
    extract::package::tests::{pack, pack_locked},
};

const RELATIONS: &str = r#"<Relationships><Relationship Id="r" Type="http://x/officeDocument" Target="word/document.xml"/></Relationships>"#;

/// A Word document with this body and these further parts.
fn word(body: &str, parts: &[(&str, &str)]) -> Vec<u8> {
    let main = format!(r#"<?xml version="1.0"?><w:document xmlns:w="w"><w:body>{body}</w:body></w:document>"#);
    pack(&[&[("_rels/.rels", RELATIONS), ("word/document.xml", &main)], parts].concat())
}

fn read(body: &str, parts: &[(&str, &str)]) -> Document {
    extract("a.docx", &word(body, parts), None).unwrap()
}

fn p(text: &str) -> String {
    format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>")
}

fn styled(style: &str, text: &str) -> String {
    format!(r#"<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"#)
}

#[test]
fn headings_are_known_by_style_in_any_language() {
    let styles = r#"<w:styles><w:style w:type="paragraph" w:styleId="a3"><w:name w:val="Title"/></w:style>
        <w:style w:type="paragraph" w:styleId="berschrift1"><w:name w:val="heading 1"/><w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style>
        <w:style w:type="paragraph" w:styleId="Kapitel"><w:name w:val="Kapitel"/><w:basedOn w:val="Zwei"/></w:style>
        <w:style w:type="paragraph" w:styleId="Zwei"><w:name w:val="heading 2"/></w:style>
        <w:style w:type="paragraph" w:styleId="V1"><w:name w:val="toc 1"/></w:style></w:styles>"#;
    let body = [
        styled("a3", "Hafenbuch"),
        styled("V1", "Eins 1"),
        styled("berschrift1", "Eins"),
        p("Text."),
        styled("Kapitel", "Zwei"),
        r#"<w:p><w:pPr><w:outlineLvl w:val="2"/></w:pPr><w:r><w:t>Drei</w:t></w:r></w:p>"#.to_owned(),
    ];
    let document = read(&body.concat(), &[("word/styles.xml", styles)]);
    assert_eq!(document.text, "Hafenbuch\n\nEins\n\nText.\n\nZwei\n\nDrei");
    let found: Vec<_> = document.sections.iter().map(|s| (s.title.as_str(), s.level)).collect();
    assert_eq!(found, [("Hafenbuch", 1), ("Eins", 1), ("Zwei", 2), ("Drei", 3)]);
    assert_eq!(document.title.as_deref(), Some("Hafenbuch"));
}

#[test]
fn lists_keep_their_markers_and_count_on() {
    let numbering = r#"<w:numbering>
        <w:abstractNum w:abstractNumId="0">
          <w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
          <w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1.%2)"/></w:lvl></w:abstractNum>
        <w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="x"/></w:lvl></w:abstractNum>
        <w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>
        <w:num w:numId="3"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/></w:lvlOverride></w:num>
        </w:numbering>"#;
    let item = |list: u8, level: u8, text: &str| {
        format!(
            r#"<w:p><w:pPr><w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{list}"/></w:numPr></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"#
        )
    };
    let body = [
        p("Before"),
        item(1, 0, "one"),
        item(1, 1, "deep"),
        item(1, 1, "deeper"),
        item(1, 0, "two"),
        p("Between"),
        item(2, 0, "dot"),
        item(3, 0, "seven"),
        item(0, 0, "none"),
    ];
    let document = read(&body.concat(), &[("word/numbering.xml", numbering)]);
    assert_eq!(
        document.text,
        "Before\n\n1. one\n  1.a) deep\n  1.b) deeper\n2. two\n\nBetween\n\n- dot\n7. seven\n\nnone"
    );
}

#[test]
fn tables_notes_and_boxes_read_in_order() {
    let notes = r#"<w:footnotes><w:footnote w:type="separator" w:id="-1"><w:p><w:r><w:t>line</w:t></w:r></w:p></w:footnote>
        <w:footnote w:id="2"><w:p><w:r><w:t>The note.</w:t></w:r></w:p></w:footnote></w:footnotes>"#;
    let cell = |text: &str| format!("<w:tc>{}</w:tc>", p(text));
    let body = format!(
        r#"<w:p><w:r><w:t xml:space="preserve">High </w:t></w:r><w:r><mc:AlternateContent><mc:Choice><w:drawing><wps:txbx>
        <w:txbxContent>{}</w:txbxContent></wps:txbx></w:drawing></mc:Choice><mc:Fallback><w:pict>{}</w:pict></mc:Fallback>
        </mc:AlternateContent></w:r><w:r><w:t>water</w:t><w:footnoteReference w:id="2"/><w:t>.</w:t></w:r></w:p>
        <w:tbl><w:tr>{}{}</w:tr><w:tr>{}{}</w:tr></w:tbl>{}"#,
        p("boxed"),
        p("boxed"),
        cell("Port"),
        cell("Fee"),
        cell("North"),
        cell("14"),
        p("After")
    );
    let document = read(&body, &[("word/footnotes.xml", notes)]);
    assert_eq!(document.text, "High water.\n\nboxed\n\nThe note.\n\nPort | Fee\nNorth | 14\n\nAfter");
}

#[test]
fn changes_count_as_accepted_and_codes_are_not_text() {
    let body = r#"<w:p><w:ins><w:r><w:t>New</w:t></w:r></w:ins><w:del><w:r><w:delText>Old</w:delText></w:r></w:del>
        <w:moveFrom><w:r><w:t>Gone</w:t></w:r></w:moveFrom><w:r><w:fldChar/><w:instrText>PAGE \* X</w:instrText><w:t xml:space="preserve"> page</w:t></w:r>
        <w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:hyperlink><w:r><w:tab/><w:t>li</w:t></w:r><w:r><w:t>nk</w:t><w:br/><w:t>line</w:t></w:r></w:hyperlink></w:p>"#;
    assert_eq!(read(body, &[]).text, "New page link\nline");
}

#[test]
fn a_document_without_words_says_what_it_holds() {
    let code = |body: &str| extract("a.docx", &word(body, &[]), None).unwrap_err().to_string();
    assert!(code("<w:p><w:r><w:drawing/></w:r></w:p>").contains("pictures (1)"));
    assert!(code("<w:tbl><w:tr><w:tc><w:p/></w:tc></w:tr></w:tbl>").contains("empty tables (1)"));
    assert_eq!(extract("a.docx", &word("<w:p/>", &[]), None).unwrap_err().code(), "file-empty");
}

#[test]
fn a_document_under_a_password_is_told_from_an_old_one() {
    let stream: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let old = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";
    let message = |bytes: &[u8]| extract("a.docx", bytes, None).unwrap_err().to_string();
    assert!(message(&[&old[..], &stream].concat()).starts_with("Password-protected Office"));
    assert!(message(old).starts_with("Old Office"));
}

#[test]
fn a_note_is_read_once_however_often_it_is_referred_to() {
    let notes =
        r#"<w:footnotes><w:footnote w:id="1"><w:p><w:r><w:t>Note.</w:t></w:r></w:p></w:footnote></w:footnotes>"#;
    let reference = r#"<w:p><w:r><w:t>x</w:t><w:footnoteReference w:id="1"/></w:r></w:p>"#;
    assert_eq!(read(&reference.repeat(3), &[("word/footnotes.xml", notes)]).text, "x\n\nNote.\n\nx\n\nx");
}

#[test]
fn a_document_whose_parts_are_locked_opens_by_its_password() {
    let body = format!("<w:document xmlns:w=\"w\"><w:body>{}</w:body></w:document>", p("Under the mat."));
    let parts = [("_rels/.rels", RELATIONS), ("word/document.xml", &body)];
    let bytes = pack_locked(&parts.map(|(name, content)| (name, content.as_bytes(), "tide")));
    assert!(!crate::is_archive(&bytes));
    let read = |password| extract("a.docx", &bytes, password).map(|document| document.text);
    assert_eq!(read(None), Err(CorpusError::Password { is_wrong: false }));
    assert_eq!(read(Some("ebb")), Err(CorpusError::Password { is_wrong: true }));
    assert_eq!(read(Some("tide")).unwrap(), "Under the mat.");
    let table = pack_locked(&[("[Content_Types].xml", b"<x/>", "tide"), ("xl/workbook.xml", b"<x/>", "tide")]);
    assert!(!crate::is_archive(&table));
    assert_eq!(extract("a.xlsx", &table, Some("tide")), Err(CorpusError::Unsupported { kind: "Excel" }));
}
