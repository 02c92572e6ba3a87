//! Questions to a session.

use lectern_model::host::Host;

use super::Session;
use crate::answer::{Answer, AskEvent, AskOptions, Ending, Timings, ask, read_ahead};
use crate::error::EngineError;
use crate::find::Finder;
use crate::known::Asked;
use crate::quote::quote;
use crate::reader::Reader;
use crate::respell::respelled;
use crate::retrieve::{Hit, Retrieval, RetrieveOptions};

impl<H: Host> Session<H> {
    /// The best passages for a question, without an answer.
    ///
    /// # Errors
    /// As [`Finder::search`]; `question-empty`.
    pub async fn search(&mut self, question: &str, options: &RetrieveOptions<'_>) -> Result<Retrieval, EngineError> {
        if question.trim().is_empty() {
            return Err(EngineError::EmptyQuestion);
        }
        if options.rerank > 0 && self.reranker.is_none() {
            self.set_voice(None)?;
        }
        let (mut finder, reader) = self.finder();
        finder.search(reader, question, options).await
    }

    /// A question with what it misspells as the pages have it.
    ///
    /// # Errors
    /// `no-documents`, `not-loaded`.
    pub(crate) fn as_read(&self, question: &str) -> Result<String, EngineError> {
        let embedder = self.embedder.as_ref().ok_or(EngineError::NotLoaded("embedder"))?;
        let index = self.library.index().ok_or(EngineError::NoDocuments)?;
        Ok(respelled(question, index, &embedder.tokenizer)?.question)
    }

    /// Answers a question in a voice; where pages are read and there is no language model, with their own sentences. The
    /// same question asked alike while pages, models and voices are the same has the same answer, which is then only
    /// told again, unless it is to be `fresh`.
    ///
    /// # Errors
    /// As [`ask`] and [`quote`]; `adapter-unknown`, `not-loaded`.
    pub async fn ask(
        &mut self,
        question: &str,
        voice: Option<(&str, f32)>,
        options: &AskOptions,
        on_event: &mut dyn FnMut(AskEvent),
    ) -> Result<Answer, EngineError> {
        let started = self.host.now_ms();
        let asked = Asked::new(question, voice, options, self.precision);
        if let Some(mut answer) = self.known_answer(&asked, question.trim(), options).await? {
            if options.rag {
                on_event(AskEvent::Retrieved(answer.hits.clone()));
            }
            on_event(AskEvent::Token(answer.answer.clone()));
            answer.timings_ms = Timings { total: self.host.now_ms() - started, ..Timings::default() };
            return Ok(answer);
        }
        let answer = if options.rag && (options.extractive || self.reader.is_none() && self.embedder.is_some()) {
            let (mut finder, reader) = self.finder();
            quote(&mut finder, reader, question, options, on_event).await?
        } else {
            let (mut finder, reader) = self.speaking(voice)?;
            ask(reader, &mut finder, question, options, on_event).await?
        };
        self.known.keep(asked, &answer);
        Ok(answer)
    }

    /// After something else was said, the same words are the same question where they find the same passages: the prompt
    /// is the same then.
    async fn known_answer(
        &mut self,
        asked: &Asked,
        question: &str,
        options: &AskOptions,
    ) -> Result<Option<Answer>, EngineError> {
        if options.fresh {
            return Ok(None);
        }
        if let Some(answer) = self.known.find(asked) {
            return Ok(Some(answer));
        }
        // Which order a reader gives passages depends on the voice that it has on, and takes long.
        if options.rerank > 0 {
            return Ok(None);
        }
        let Some(answer) = self.known.find_after_all(asked) else { return Ok(None) };
        let (mut finder, reader) = self.finder();
        let found = finder.find(reader, answer.hits.len(), question, options).await?;
        let spans = |hits: &[Hit]| hits.iter().map(|hit| (hit.source_id, hit.start, hit.end)).collect::<Vec<_>>();
        let is_same =
            spans(&found.hits) == spans(&answer.hits) && found.is_relevant == (answer.stopped != Ending::Refused);
        Ok(is_same.then_some(Answer { hits: found.hits, ..answer }))
    }

    /// Reads ahead for a question that is still being written, as [`Self::ask`] would; how many tokens.
    ///
    /// # Errors
    /// As [`read_ahead`]; `adapter-unknown`, `not-loaded`.
    pub async fn read_ahead(
        &mut self,
        question: &str,
        voice: Option<(&str, f32)>,
        options: &AskOptions,
        on_event: &mut dyn FnMut(AskEvent),
    ) -> Result<usize, EngineError> {
        let (mut finder, reader) = self.speaking(voice)?;
        read_ahead(reader, &mut finder, question, options, on_event).await
    }

    /// The reader with `voice` on, or none.
    fn speaking(&mut self, voice: Option<(&str, f32)>) -> Result<(Finder<'_, H>, &mut Reader), EngineError> {
        self.set_voice(voice)?;
        let (finder, reader) = self.finder();
        Ok((finder, reader.ok_or(EngineError::NotLoaded("language model"))?))
    }

    fn finder(&mut self) -> (Finder<'_, H>, Option<&mut Reader>) {
        let (embedder, reranker) = (self.embedder.as_mut(), self.reranker.as_mut());
        let finder = Finder { library: &self.library, embedder, reranker, host: &self.host };
        (finder, self.reader.as_mut())
    }
}
