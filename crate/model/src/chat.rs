//! Messages → prompt text, by the Jinja chat template that a GGUF file carries.
//!
//! Source: the `apply_chat_template` conventions of Hugging Face transformers (`trim_blocks`, `lstrip_blocks`, Python
//! string methods, `raise_exception`, `strftime_now`).

use minijinja::{Environment, Error, ErrorKind, context};
use serde::{Deserialize, Serialize};

use crate::error::ModelError;
use crate::gguf::Gguf;

const TEMPLATE_KEY: &str = "tokenizer.chat_template";
const NAME: &str = "chat";

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    pub content: String,
}

impl Message {
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }
}

/// A civil date, for templates that tell the model what day it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

#[derive(Debug, Clone)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    bos_token: String,
    eos_token: String,
}

impl ChatTemplate {
    /// The template under `tokenizer.chat_template`, with the texts of the file's BOS and EOS tokens.
    ///
    /// # Errors
    /// `model-unsupported` if the file has no template or one with unknown syntax.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, ModelError> {
        let source = gguf.opt_str(TEMPLATE_KEY)?.ok_or_else(|| {
            ModelError::unsupported(
                "it carries no chat template; use an instruction-tuned model (often named Instruct)",
            )
        })?;
        let token = |key: &str| -> Result<String, ModelError> {
            let id = gguf.opt_u32(key)?;
            let tokens = gguf.value("tokenizer.ggml.tokens").and_then(|tokens| tokens.as_array());
            let text = id.zip(tokens).and_then(|(id, tokens)| tokens.get(id as usize)?.as_str());
            Ok(text.unwrap_or_default().to_owned())
        };
        let (bos, eos) = (token("tokenizer.ggml.bos_token_id")?, token("tokenizer.ggml.eos_token_id")?);
        Self::new(source, &bos, &eos)
    }

    /// # Errors
    /// `model-unsupported` for unknown syntax.
    pub fn new(source: &str, bos_token: &str, eos_token: &str) -> Result<Self, ModelError> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |reason: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, reason))
        });
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| template_error(&error))?;
        Ok(Self { environment, bos_token: bos_token.to_owned(), eos_token: eos_token.to_owned() })
    }

    /// Gives the template `strftime_now`; without a date it is undefined, and templates fall back to their own.
    pub fn set_today(&mut self, today: Date) {
        self.environment.add_function("strftime_now", move |format: &str| strftime(today, format));
    }

    /// The prompt text; with `add_generation_prompt` it ends where the assistant's answer begins.
    ///
    /// # Errors
    /// `model-unsupported` if the template refuses the messages (say, two user turns in a row).
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String, ModelError> {
        let context = context! {
            messages,
            add_generation_prompt,
            bos_token => self.bos_token,
            eos_token => self.eos_token,
        };
        let template = self.environment.get_template(NAME).map_err(|error| template_error(&error))?;
        template.render(context).map_err(|error| template_error(&error))
    }
}

fn template_error(error: &Error) -> ModelError {
    ModelError::unsupported(format!("its chat template does not take these messages: {error}"))
}

/// The fields of C's `strftime` that chat templates use; the time of day is midnight.
fn strftime(date: Date, format: &str) -> Result<String, Error> {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let month = usize::from(date.month).checked_sub(1).and_then(|i| MONTHS.get(i)).copied().unwrap_or_default();
    let mut text = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('Y') => text.push_str(&date.year.to_string()),
            Some('y') => text.push_str(&format!("{:02}", date.year % 100)),
            Some('m') => text.push_str(&format!("{:02}", date.month)),
            Some('d') => text.push_str(&format!("{:02}", date.day)),
            Some('B') => text.push_str(month),
            Some('b') => text.push_str(month.get(..3).unwrap_or_default()),
            Some('H' | 'M' | 'S') => text.push_str("00"),
            Some('%') => text.push('%'),
            other => {
                let reason = format!("strftime_now does not know %{}", other.map(String::from).unwrap_or_default());
                return Err(Error::new(ErrorKind::InvalidOperation, reason));
            }
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHATML: &str = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] \
                          + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' \
                          }}{% endif %}";

    fn render(source: &str, messages: &[(&str, &str)]) -> Result<String, ModelError> {
        let messages: Vec<Message> = messages.iter().map(|(role, content)| Message::new(*role, *content)).collect();
        ChatTemplate::new(source, "<s>", "</s>")?.render(&messages, true)
    }

    #[test]
    fn chatml() {
        let text = render(CHATML, &[("system", "Be brief."), ("user", "<b>Hi</b> & bye")]).unwrap();
        assert_eq!(
            text,
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n<b>Hi</b> & bye<|im_end|>\n<|im_start|>assistant\n"
        );
    }

    #[test]
    fn python_methods_and_block_trimming() {
        let source = "{{ bos_token }}\n{% for m in messages %}\n    {% if m.role.startswith('us') %}\n[INST] {{ \
                      m['content'].strip() | trim }} [/INST]\n    {% endif %}\n{% endfor %}";
        assert_eq!(render(source, &[("user", "  hello \n")]).unwrap(), "<s>\n[INST] hello [/INST]\n");
    }

    #[test]
    fn a_refusal_of_the_template_is_told() {
        let source = "{% if messages[0]['role'] != 'user' %}{{ raise_exception('user first') }}{% endif %}";
        let error = render(source, &[("assistant", "hi")]).unwrap_err();
        assert_eq!(error.code(), "model-unsupported");
        assert!(error.to_string().contains("user first"), "{error}");
    }

    #[test]
    fn broken_templates_are_refused() {
        assert_eq!(render("{% for %}", &[]).unwrap_err().code(), "model-unsupported");
    }

    #[test]
    fn today_is_what_the_caller_says() {
        let source = "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}26 Jul 2024{% endif %}";
        let mut template = ChatTemplate::new(source, "", "").unwrap();
        assert_eq!(template.render(&[], false).unwrap(), "26 Jul 2024");
        template.set_today(Date { year: 2031, month: 3, day: 9 });
        assert_eq!(template.render(&[], false).unwrap(), "09 Mar 2031");
    }
}
