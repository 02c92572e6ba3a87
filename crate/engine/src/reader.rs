//! The language model with all it needs to hold a conversation.

use lectern_adapter::BaseModel;
use lectern_model::decoder::{Decoder, DecoderWeights, compile_ahead};
use lectern_model::{ChatTemplate, Device, Gguf, Message, ModelError, Tokenizer};

/// Positions a reader keeps at most: passages, question and answer.
pub const N_CTX: usize = 2048;

/// A decoder with its tokenizer and its chat template.
pub struct Reader {
    pub decoder: Decoder,
    pub tokenizer: Tokenizer,
    pub template: ChatTemplate,
    /// What the file says of its origin; adapters are held against it.
    pub base: BaseModel,
}

impl Reader {
    /// # Errors
    /// Those of reading a GGUF decoder.
    pub fn from_gguf(gguf: &mut Gguf) -> Result<Self, ModelError> {
        Ok(Self {
            decoder: Decoder::new(DecoderWeights::from_gguf(gguf)?, N_CTX),
            tokenizer: Tokenizer::from_gguf(gguf)?,
            template: ChatTemplate::from_gguf(gguf)?,
            base: BaseModel::from_gguf(gguf),
        })
    }

    /// As [`lectern_model::decoder::compile_ahead`], for the decoder in `outline`.
    ///
    /// # Errors
    /// Those of reading it, `gpu-unavailable`.
    pub fn compile_ahead(outline: &mut Gguf, device: &Device) -> Result<usize, ModelError> {
        compile_ahead(device, &DecoderWeights::from_gguf(outline)?, N_CTX)
    }

    /// The ids of a conversation with the reader's turn next. What the messages say is text: what is written like a
    /// special token in it is none.
    ///
    /// # Errors
    /// `model-invalid` when the file's template refuses the messages.
    pub fn prompt_ids(&self, messages: &[Message]) -> Result<Vec<u32>, ModelError> {
        let plain: Vec<Message> = messages
            .iter()
            .map(|message| Message { content: self.tokenizer.without_special(&message.content), ..message.clone() })
            .collect();
        self.tokenizer.encode_rendered(&self.template.render(&plain, true)?)
    }
}
