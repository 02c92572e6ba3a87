use super::{split::MAX_BYTES_PER_TOKEN, *};
use crate::extract;
use proptest::prelude::*;

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn options(max_tokens: usize, overlap_sentences: usize) -> ChunkOptions {
    ChunkOptions { max_tokens, overlap_sentences }
}

fn cut(name: &str, source: &str, options: &ChunkOptions) -> Vec<(String, Vec<String>)> {
    let document = extract(name, source.as_bytes(), None).unwrap();
    chunk(&document, options, &words)
        .into_iter()
        .map(|chunk| (chunk.span.of(&document.text).unwrap().to_owned(), chunk.headings))
        .collect()
}

fn texts(name: &str, source: &str, options: &ChunkOptions) -> Vec<String> {
    cut(name, source, options).into_iter().map(|(text, _)| text).collect()
}

#[test]
fn short_paragraphs_of_a_section_go_together_and_sections_stay_apart() {
    let source = "intro here\n\n# A\n\none two\n\nthree four\n\n## B\n\nfive six\n\n# C\n\nseven";
    assert_eq!(
        cut("a.md", source, &options(20, 0)),
        [
            ("intro here".into(), vec![]),
            ("A\n\none two\n\nthree four".into(), vec!["A".into()]),
            ("B\n\nfive six".into(), vec!["A".into(), "B".into()]),
            ("C\n\nseven".into(), vec!["C".to_owned()]),
        ]
    );
}

#[test]
fn a_paragraph_is_kept_whole_before_it_is_packed_tight() {
    let source = "One two three four. Five six.\n\nSeven eight nine. Ten eleven.";
    assert_eq!(
        texts("a.txt", source, &options(8, 0)),
        ["One two three four. Five six.", "Seven eight nine. Ten eleven."]
    );
}

#[test]
fn a_long_paragraph_is_cut_evenly_between_sentences() {
    let source = "A b c. D e f. G h i. J k l.";
    assert_eq!(texts("a.txt", source, &options(9, 0)), ["A b c. D e f.", "G h i. J k l."]);
}

#[test]
fn sentences_overlap_within_a_section() {
    let source = "A b c. D e f. G h i. J k l.";
    assert_eq!(texts("a.txt", source, &options(9, 1)), ["A b c. D e f.", "D e f. G h i.", "G h i. J k l."]);
}

#[test]
fn a_long_sentence_is_cut_between_words() {
    let source = "one two three four five six seven eight nine ten";
    let found = texts("a.txt", source, &options(4, 0));
    assert_eq!(found.join(" "), source);
    assert!(found.iter().all(|text| words(text) <= 4));
}

#[test]
fn a_heading_without_text_goes_with_the_section_below() {
    let found = cut("a.md", "# A\n\n## B\n\nbody\n\n# Empty\n\n# Last", &options(20, 0));
    assert_eq!(found[0], ("A\n\nB\n\nbody".into(), vec!["A".into(), "B".into()]));
    assert_eq!(found[1].0, "Empty");
    assert_eq!(found[2], ("Last".into(), vec!["Last".to_owned()]));
}

#[test]
fn a_heading_is_not_left_alone_by_a_long_paragraph() {
    let body = "word ".repeat(30);
    let found = texts("a.md", &format!("# Title\n\n{body}"), &options(10, 0));
    assert!(words(&found[0]) > 1, "{found:?}");
}

#[test]
fn a_title_line_goes_with_the_long_paragraph_below() {
    let body = "A b c d. E f g h. I j k l.";
    assert_eq!(
        texts("a.txt", &format!("Warsaw\n\n{body}"), &options(8, 0)),
        ["Warsaw\n\nA b c d.", "E f g h. I j k l."]
    );
}

#[test]
fn wrapped_lines_of_plain_text_are_one_sentence() {
    let line = "The harbour master keeps the keys of the old";
    let source = format!("{line}\ngranary. {line}\nstore. The end.");
    let found = texts("a.txt", &source, &options(12, 0));
    assert_eq!(found[0], format!("{line}\ngranary."));
}

#[test]
fn a_megabyte_on_one_line_is_cut_in_bounded_time() {
    for word in ["x", "x ", "日", "a. ", "1."] {
        let text = word.repeat(1_000_000 / word.len());
        let document = extract("a.txt", text.as_bytes(), None).unwrap();
        let chunks = chunk(&document, &options(128, 0), &words);
        let longest = chunks.iter().map(|chunk| chunk.span.len()).max();
        assert!(longest <= Some(128 * MAX_BYTES_PER_TOKEN), "{word}: {longest:?}");
        assert_eq!(chunks.last().unwrap().span.end, document.text.len());
    }
}

proptest! {
    #[test]
    fn chunks_cover_the_text_in_order(
        parts in prop::collection::vec(prop::sample::select(vec![
            "# A\n\n", "## B c\n\n", "# ", "\n", "\n\n", "- x\n", "word ", "Another sentence. ", "日本語。", "é",
            "```\ncode here\n```\n", "Title\n=====\n", "longwordwithoutanyspaceinit", "? ", "\u{2003}",
        ]), 1..80),
        name in prop::sample::select(vec!["a.md", "a.txt"]),
        max_tokens in 1usize..12,
        overlap_sentences in 0usize..3,
    ) {
        let Ok(document) = extract(name, parts.concat().as_bytes(), None) else { return Ok(()) };
        let text = &document.text;
        let chunks = chunk(&document, &options(max_tokens, overlap_sentences), &words);
        let mut covered = 0;
        let mut last: Option<Span> = None;
        for chunk in &chunks {
            let passage = chunk.span.of(text).expect("a span on character boundaries");
            prop_assert!(!passage.is_empty());
            prop_assert_eq!(passage.trim(), passage);
            prop_assert!(words(passage) <= max_tokens || passage.chars().count() == 1, "{:?}", passage);
            if let Some(last) = last {
                prop_assert!(chunk.span.start > last.start && chunk.span.end > last.end);
            }
            if chunk.span.start > covered {
                prop_assert!(text[covered..chunk.span.start].trim().is_empty());
            }
            covered = chunk.span.end;
            last = Some(chunk.span);
        }
        prop_assert!(text[covered..].trim().is_empty());
    }
}
