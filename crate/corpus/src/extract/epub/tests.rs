use crate::{
    CorpusError, Document, extract,
    extract::package::tests::{pack, pack_locked},
};

const CONTAINER: (&str, &str) = (
    "META-INF/container.xml",
    "<container><rootfiles><rootfile full-path='OPS/book.opf' media-type='application/oebps-package+xml'/></rootfiles></container>",
);
const BOOK: (&str, &str) = (
    "OPS/book.opf",
    "<package><metadata xmlns:dc='d'><dc:title>The \n Quay</dc:title></metadata><manifest>
     <item id='n' href='nav.xhtml' media-type='application/xhtml+xml' properties='nav'/>
     <item id='b' href='../text/two%20b.xhtml' media-type='application/xhtml+xml'/>
     <item id='a' href='one.xhtml' media-type='application/xhtml+xml'/>
     <item id='c' href='gone.xhtml' media-type='application/xhtml+xml'/></manifest>
     <spine><itemref idref='n'/><itemref idref='a'/><itemref idref='b'/><itemref idref='c'/></spine></package>",
);
const CHAPTERS: [(&str, &str); 3] = [
    ("OPS/nav.xhtml", "<html><body><nav epub:type='toc'>Contents<ol hidden=''><li>One</li></ol></nav><nav epub:type='page-list'>12</nav></body></html>"),
    (
        "OPS/one.xhtml",
        "<?xml version='1.0'?><html><head><title>x</title></head><body><header><h1>One</h1></header>
         <p>First.<span epub:type='pagebreak'>12</span></p><aside epub:type='footnote'><p>A note.</p></aside></body></html>",
    ),
    ("text/two b.xhtml", "<html><body><h1>Two</h1><p>Second.</p></body></html>"),
];

fn read(more: &[(&str, &str)]) -> Result<Document, CorpusError> {
    extract("book", &pack(&[&[CONTAINER, BOOK], &CHAPTERS[..], more].concat()), None)
}

#[test]
fn chapters_are_read_in_the_order_of_the_book() {
    let document = read(&[]).unwrap();
    assert_eq!(document.text, "Contents\n\n1. One\n\nOne\n\nFirst.\n\nA note.\n\nTwo\n\nSecond.");
    assert_eq!(document.title.as_deref(), Some("The Quay"));
    let found: Vec<_> = document.sections.iter().map(|s| s.span.of(&document.text).unwrap()).collect();
    assert_eq!(found, ["One\n\nFirst.\n\nA note.", "Two\n\nSecond."]);
    assert_eq!(document.warnings, ["1 of 4 chapters could not be read."]);
}

#[test]
fn copy_protection_is_told_from_mangled_fonts() {
    let encryption = |method: &str, path: &str| {
        format!(
            "<encryption><enc:EncryptedData><enc:EncryptionMethod Algorithm='{method}'/><enc:CipherData>
             <enc:CipherReference URI='{path}'/></enc:CipherData></enc:EncryptedData></encryption>"
        )
    };
    let drm = encryption("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "OPS/one.xhtml");
    assert_eq!(read(&[("META-INF/encryption.xml", &drm)]).unwrap_err().code(), "file-unsupported");
    let font = encryption("http://www.idpf.org/2008/embedding", "OPS/one.xhtml");
    assert!(read(&[("META-INF/encryption.xml", &font)]).is_ok());
}

#[test]
fn a_book_without_its_parts_is_damaged() {
    let code = |entries: &[(&str, &str)]| extract("book.epub", &pack(entries), None).unwrap_err().code();
    assert_eq!(code(&[CONTAINER]), "file-damaged");
    assert_eq!(code(&[CONTAINER, BOOK]), "file-damaged");
    assert_eq!(code(&[CONTAINER, BOOK, ("OPS/one.xhtml", "<img src='a'/>")]), "file-no-text");
}

#[test]
fn a_book_whose_parts_are_locked_opens_by_its_password() {
    let parts = [CONTAINER, BOOK, CHAPTERS[0], CHAPTERS[1], CHAPTERS[2]];
    let bytes = pack_locked(&parts.map(|(name, content)| (name, content.as_bytes(), "tide")));
    assert!(!crate::is_archive(&bytes));
    assert_eq!(extract("a.epub", &bytes, None), Err(CorpusError::Password { is_wrong: false }));
    assert_eq!(extract("a.epub", &bytes, Some("ebb")), Err(CorpusError::Password { is_wrong: true }));
    assert_eq!(extract("a.epub", &bytes, Some("tide")).unwrap().text, read(&[]).unwrap().text);
}
