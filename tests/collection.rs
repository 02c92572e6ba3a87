//! Pages as they are stored: each by itself, and all as one file.

use lectern_engine::embedder::Embedder;
use lectern_engine::ingest::{extract, ingest, stored_pages};
use lectern_engine::model::Gguf;
use lectern_engine::{Library, Session};

use crate::desk::{HANDBOOK, bare, best, laid, lay};
use crate::support::{TestHost, block_on, embedder_gguf, model_file};

fn found(session: &mut Session<TestHost>) -> Vec<(String, usize, usize, f32)> {
    let retrieval = block_on(session.search("What does a ticket cost?", &best(4))).unwrap();
    retrieval.hits.into_iter().map(|hit| (hit.source, hit.start, hit.end, hit.score)).collect()
}

#[test]
fn a_collection_comes_back_whole_and_a_damaged_one_is_refused() {
    let (mut session, _) = laid();
    let bytes = session.export_collection(&[]);
    let expected = found(&mut session);

    let (mut other, _) = bare();
    block_on(other.load_embedder(model_file(embedder_gguf()))).unwrap();
    block_on(other.import_collection(&bytes)).unwrap();
    assert_eq!(found(&mut other), expected);
    assert_eq!(other.export_collection(&[]), bytes);
    lay(&mut other, "more.md", b"# More\n\nThe chapel bell weighs 300 kilograms.").unwrap();
    assert_eq!(other.library().sources().len(), 4, "a collection that came back takes more pages");

    let kept = other.export_collection(&[]);
    for cut in [0, 7, 11, 40, bytes.len() - 1] {
        assert_eq!(block_on(other.import_collection(&bytes[..cut])).unwrap_err().code(), "collection-invalid");
    }
    assert_eq!(other.export_collection(&[]), kept, "a refused collection changes nothing");
}

#[test]
fn a_damaged_page_is_named_and_takes_no_other_with_it() {
    let (session, _) = laid();
    let bytes = session.export_collection(&[]);
    let n_pages = session.library().sources().len();
    let mut n_named = 0;
    for at in (16..bytes.len()).step_by(bytes.len() / 97) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x20;
        let (mut other, _) = bare();
        match block_on(other.import_collection(&damaged)) {
            Ok(opened) => {
                assert_eq!((opened.ids.len(), opened.lost.len()), (n_pages - 1, 1), "{at}");
                assert!(opened.lost[0].starts_with("page ") && opened.lost[0].contains(" of 3: "), "{:?}", opened.lost);
                n_named += 1;
                assert_eq!(other.library().sources().len(), n_pages - 1);
            }
            // What tells where the pages end.
            Err(error) => assert_eq!(error.code(), "collection-invalid"),
        }
    }
    assert!(n_named > 80, "{n_named}");
}

#[test]
fn a_page_comes_back_by_itself_however_often() {
    let (mut session, _) = laid();
    let expected = found(&mut session);
    let ids: Vec<u32> = session.library().sources().iter().map(|source| source.id).collect();
    let pages: Vec<Vec<u8>> = ids.iter().map(|&id| session.page_bytes(id).unwrap()).collect();
    let (mut other, _) = bare();
    block_on(other.load_embedder(model_file(embedder_gguf()))).unwrap();
    for page in pages.iter().rev().chain(&pages) {
        block_on(other.restore_page(page)).unwrap();
    }
    assert_eq!(found(&mut other), expected);
    assert_eq!(block_on(other.restore_page(&pages[0][..99])).unwrap_err().code(), "collection-invalid");
    lay(&mut other, "handbook.md", b"# Handbook\n\nQuite another text.").unwrap();
    assert_eq!(other.library().sources().len(), ids.len() + 1, "another text of the same name is another page");
    assert_eq!(other.page_bytes(9).unwrap_err().code(), "source-unknown");
}

#[test]
fn a_collection_read_by_another_embedder_is_refused_both_ways() {
    let mut embedder = Embedder::from_gguf(&mut Gguf::parse(embedder_gguf()).unwrap(), "another model").unwrap();
    let mut library = Library::default();
    block_on(ingest(
        &mut library,
        &mut embedder,
        "handbook.md",
        HANDBOOK.as_bytes(),
        &TestHost::default(),
        &mut |_| (),
    ))
    .unwrap();
    let bytes: Vec<u8> = library.file_parts(std::iter::empty()).flatten().collect();
    let (mut session, _) = bare();
    block_on(session.import_collection(&bytes)).unwrap();
    assert_eq!(
        block_on(session.load_embedder(model_file(embedder_gguf()))).unwrap_err().code(),
        "index-model-mismatch"
    );
    let (mut session, _) = laid();
    assert_eq!(block_on(session.import_collection(&bytes)).unwrap_err().code(), "index-model-mismatch");
    assert_eq!(session.library().sources().len(), 3);

    // Its pages can be read again, as their files were.
    let pages: Vec<(String, Vec<u8>)> =
        stored_pages(&bytes).unwrap().unwrap().map(|(name, page)| (name, page.unwrap())).collect();
    let [(name, page)] = &pages[..] else { panic!("{} pages", pages.len()) };
    let (mut session, _) = bare();
    block_on(session.load_embedder(model_file(embedder_gguf()))).unwrap();
    lay(&mut session, name, page).unwrap();
    let (mut expected, _) = bare();
    block_on(expected.load_embedder(model_file(embedder_gguf()))).unwrap();
    lay(&mut expected, "handbook.md", HANDBOOK.as_bytes()).unwrap();
    assert_eq!(found(&mut session), found(&mut expected));
    let [read, wanted] = [&session, &expected].map(|session| &session.library().sources()[0]);
    assert_eq!(
        (read.n_bytes, &read.text, &read.sections, &read.passages),
        (wanted.n_bytes, &wanted.text, &wanted.sections, &wanted.passages)
    );
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let told: Vec<_> =
        stored_pages(&damaged).unwrap().unwrap().map(|(name, page)| (name, page.unwrap_err().code())).collect();
    assert_eq!(told, [("page 1".to_owned(), "collection-invalid")]);
    assert!(stored_pages(HANDBOOK.as_bytes()).is_none());
    let cut = extract(name, &page[..page.len() - 4], None).unwrap_err();
    assert_eq!(cut.code(), "collection-invalid");
}
