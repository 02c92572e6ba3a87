//! Where the passages of a data set lie in the library.

use std::collections::HashMap;

use lectern_corpus::Span;
use lectern_model::host::Host;

use super::data::{Passage, Question};
use super::{Laid, Run};
use crate::error::EngineError;
use crate::library::Library;
use crate::retrieve::Hit;
use crate::session::Session;

/// A passage's place in a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub source_id: u32,
    pub span: Span,
}

impl Place {
    fn overlaps(&self, hit: &Hit) -> bool {
        self.source_id == hit.source_id && self.span.start < hit.end && hit.start < self.span.end
    }
}

/// Where every passage lies.
#[derive(Default)]
pub struct Places {
    by_id: HashMap<String, Place>,
    by_source: HashMap<u32, Vec<(String, Place)>>,
    /// Passages found in files.
    pub n_in_files: usize,
}

/// What a hit must fall on to be right.
pub struct Gold {
    pub places: Vec<Place>,
    /// The place is a part of a longer passage, so that hits are ranked one by one.
    pub is_part: bool,
}

/// Lays passages down as the product lays down text files, one source each, save those whose text
/// (white space aside) lies in one of `files`, which are sources that are there. A passage that cannot
/// be read is told of and left out. `on_laid` may keep what there is.
///
/// # Errors
/// `not-loaded`, `cancelled`, `source-unknown`, those of the index.
pub async fn lay_down<H: Host>(
    session: &mut Session<H>,
    passages: &[Passage],
    files: &[u32],
    run: &mut Run<'_>,
    on_laid: &mut dyn FnMut(&Session<H>, Laid),
) -> Result<Places, EngineError> {
    let mut texts: Vec<(u32, Squeezed)> = Vec::new();
    for &id in files {
        texts.push((id, Squeezed::new(&session.library().source(id)?.text)));
    }
    let mut places = Places::default();
    for (done, passage) in passages.iter().enumerate() {
        let wanted = Squeezed::new(&passage.text);
        let found = texts.iter().find_map(|(id, text)| Some(Place { source_id: *id, span: text.find(&wanted)? }));
        if let Some(place) = found {
            places.n_in_files += 1;
            places.insert(passage.id(), place);
            continue;
        }
        // Ids of data sets hold titles, which nobody would have told: files are found by their names too.
        match super::lay_down(session, &format!("{done}.txt"), passage.text.as_bytes()).await {
            Ok(laid) => {
                let span = Span::new(0, session.library().source(laid.id)?.text.len());
                places.insert(passage.id(), Place { source_id: laid.id, span });
                on_laid(session, laid);
            }
            Err(error @ EngineError::Corpus { .. }) => run.notice(format!("{error}; left out")),
            Err(error) => return Err(error),
        }
        run.progress("laying down", done + 1, passages.len());
    }
    Ok(places)
}

impl Places {
    fn insert(&mut self, id: &str, place: Place) {
        self.by_id.insert(id.to_owned(), place);
        self.by_source.entry(place.source_id).or_default().push((id.to_owned(), place));
    }

    /// The passages that a hit falls on.
    pub fn at(&self, hit: &Hit) -> Vec<&str> {
        let all = self.by_source.get(&hit.source_id).map_or(&[][..], Vec::as_slice);
        all.iter().filter(|(_, place)| place.overlaps(hit)).map(|(id, _)| id.as_str()).collect()
    }

    /// The passages that a place lies in.
    pub fn named(&self, place: &Place) -> Vec<&str> {
        let all = self.by_source.get(&place.source_id).map_or(&[][..], Vec::as_slice);
        let holds = |of: &Span| of.start <= place.span.start && place.span.end <= of.end;
        all.iter().filter(|(_, of)| holds(&of.span)).map(|(id, _)| id.as_str()).collect()
    }

    /// The passages that a question names, or else its context within the document that it names.
    pub fn gold(&self, question: &Question, library: &Library) -> Gold {
        let named = question.passage_id.iter().chain(&question.passage_ids);
        let places: Vec<Place> = named.filter_map(|id| self.by_id.get(id)).copied().collect();
        if !places.is_empty() {
            return Gold { places, is_part: false };
        }
        let context = Squeezed::new(&question.context);
        let part = self.by_id.get(&question.doc_id).and_then(|place| {
            let text = place.span.of(&library.source(place.source_id).ok()?.text)?;
            let span = Squeezed::new(text).find(&context)?;
            Some(Place {
                source_id: place.source_id,
                span: Span::new(place.span.start + span.start, place.span.start + span.end),
            })
        });
        Gold { places: part.into_iter().collect(), is_part: true }
    }

    /// 1 for every rank that is right. A hit on passages that all stand higher up already takes no
    /// rank: a passage is scored by its best chunk.
    pub fn gains(&self, hits: &[Hit], gold: &Gold) -> Vec<f64> {
        let mut seen: Vec<&str> = Vec::new();
        let mut gains = Vec::new();
        for hit in hits {
            let on = self.at(hit);
            if !gold.is_part && !on.is_empty() && on.iter().all(|id| seen.contains(id)) {
                continue;
            }
            seen.extend(on);
            gains.push(f64::from(gold.places.iter().any(|place| place.overlaps(hit))));
        }
        gains
    }
}

/// A text without its white space.
struct Squeezed {
    text: String,
    /// For every byte of `text`, where it was.
    offsets: Vec<usize>,
}

impl Squeezed {
    fn new(text: &str) -> Self {
        let mut squeezed = Self { text: String::with_capacity(text.len()), offsets: Vec::with_capacity(text.len()) };
        for (at, c) in text.char_indices().filter(|(_, c)| !c.is_whitespace()) {
            squeezed.text.push(c);
            squeezed.offsets.extend(at..at + c.len_utf8());
        }
        squeezed
    }

    fn find(&self, other: &Self) -> Option<Span> {
        let last = other.text.len().checked_sub(1)?;
        let at = self.text.find(&other.text)?;
        Some(Span::new(self.offsets[at], self.offsets[at + last] + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(source_id: u32, start: usize, end: usize) -> Hit {
        Hit {
            source_id,
            source: String::new(),
            start,
            end,
            page: None,
            text: String::new(),
            headings: vec![],
            score: 0.0,
            dense: None,
            bm25: None,
        }
    }

    fn places() -> Places {
        let mut places = Places::default();
        for (id, source_id, start, end) in [("a", 0, 0, 50), ("b", 0, 52, 90), ("c", 1, 0, 40)] {
            places.insert(id, Place { source_id, span: Span::new(start, end) });
        }
        places
    }

    #[test]
    fn white_space_does_not_hide_a_passage() {
        let text = Squeezed::new("Title\n\nOne  naïve\nline. Two.");
        let span = text.find(&Squeezed::new("naïve line.")).unwrap();
        assert_eq!(span.of("Title\n\nOne  naïve\nline. Two."), Some("naïve\nline."));
        assert_eq!(text.find(&Squeezed::new("Three")), None);
        assert_eq!(text.find(&Squeezed::new(" ")), None);
    }

    #[test]
    fn a_passage_is_ranked_once_by_its_best_chunk() {
        let places = places();
        let gold = Gold { places: vec![places.by_id["b"]], is_part: false };
        // Two chunks of c, one across a and b, one beside all passages.
        let hits = [hit(1, 0, 20), hit(1, 20, 40), hit(7, 0, 9), hit(0, 40, 60)];
        assert_eq!(places.gains(&hits, &gold), [0.0, 0.0, 1.0]);
        assert_eq!(places.at(&hits[3]), ["a", "b"]);
        assert!(places.at(&hit(0, 50, 52)).is_empty());
    }

    #[test]
    fn parts_of_a_document_are_ranked_one_by_one() {
        let places = places();
        let gold = Gold { places: vec![Place { source_id: 1, span: Span::new(30, 40) }], is_part: true };
        assert_eq!(places.gains(&[hit(1, 0, 15), hit(1, 15, 30), hit(1, 30, 40)], &gold), [0.0, 0.0, 1.0]);
    }
}
