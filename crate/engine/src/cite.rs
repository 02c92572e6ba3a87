//! The `[n]` of an answer, tied to the passages that were shown. A number the model made up is dropped.

use serde::Serialize;

use crate::retrieve::Hit;

/// A mark in an answer and the passage it opens.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Citation {
    /// The number in the answer.
    pub marker: usize,
    pub source_id: u32,
    pub source: String,
    /// UTF-8 byte offsets into the source's extracted text.
    pub start: usize,
    pub end: usize,
    pub text: String,
}

/// The passages that `answer` names, each once, in the order of their first mark.
pub fn citations(answer: &str, passages: &[Hit]) -> Vec<Citation> {
    let mut found: Vec<Citation> = Vec::new();
    for (_, _, marker) in markers(answer) {
        let Some(hit) = marker.checked_sub(1).and_then(|i| passages.get(i)) else { continue };
        if found.iter().all(|c| c.marker != marker) {
            found.push(Citation {
                marker,
                source_id: hit.source_id,
                source: hit.source.clone(),
                start: hit.start,
                end: hit.end,
                text: hit.text.clone(),
            });
        }
    }
    found
}

/// `answer` without the marks that name no passage.
pub fn drop_invented(answer: &str, n_passages: usize) -> String {
    let mut kept = String::new();
    let mut from = 0;
    for (start, end, marker) in markers(answer) {
        if marker == 0 || marker > n_passages {
            kept += answer[from..start].trim_end_matches(' ');
            from = end;
        }
    }
    kept + &answer[from..]
}

/// Every `[n]`: its byte range and number.
fn markers(text: &str) -> Vec<(usize, usize, usize)> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices('[') {
        let digits = text[start + 1..].bytes().take_while(u8::is_ascii_digit).count();
        let end = start + 1 + digits;
        if digits > 0 && text[end..].starts_with(']') {
            found.push((start, end + 1, text[start + 1..end].parse().unwrap_or(usize::MAX)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(n: u32) -> Vec<Hit> {
        (0..n)
            .map(|i| Hit {
                source_id: i,
                source: format!("{i}.md"),
                start: 0,
                end: 4,
                text: "text".into(),
                headings: vec![],
                score: 0.0,
                dense: None,
                bm25: None,
            })
            .collect()
    }

    #[test]
    fn marks_open_the_passages_that_were_shown() {
        let markers = |answer| citations(answer, &hits(3)).iter().map(|c| (c.marker, c.source_id)).collect::<Vec<_>>();
        assert_eq!(markers("Paris [2]. Also [1], [2]."), [(2, 1), (1, 0)]);
        assert_eq!(markers("made up [4] [0] [99999999999999999999] [x] []"), []);
    }

    #[test]
    fn invented_marks_leave_the_answer() {
        assert_eq!(drop_invented("Paris [7], or Rome [2].", 3), "Paris, or Rome [2].");
        assert_eq!(drop_invented("a[0] in an array [3]", 3), "a in an array [3]");
        assert_eq!(drop_invented("naïve [1]", 1), "naïve [1]");
    }
}
