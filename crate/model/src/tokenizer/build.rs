//! A tokenizer from `tokenizer.ggml.*` metadata.
//!
//! Source: llama.cpp `src/llama-vocab.cpp` (which names and patterns there are) and the `tokenizer.json` files of the
//! checkpoints those names come from (what they mean).

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;
use tokenizers::decoders::{byte_fallback::ByteFallback, fuse::Fuse, strip::Strip, wordpiece::WordPiece as Pieces};
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::{BertNormalizer, NFC, Prepend, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PreTokenizerWrapper, SplitDelimiterBehavior, Tokenizer, decoders,
};

use super::TokenType;
use crate::error::ModelError;
use crate::gguf::Gguf;

/// What SentencePiece writes for a space, and llama.cpp's WordPiece vocabularies before the start of a word.
pub(crate) const WORD_START: &str = "▁";

const LLAMA3_PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2_PATTERN: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// How byte-level BPE cuts text into words before it merges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pre {
    Gpt2,
    SmolLm,
    Llama3,
    Qwen2,
}

impl Pre {
    fn from_name(name: &str) -> Result<Self, ModelError> {
        match name {
            "gpt-2" => Ok(Self::Gpt2),
            "smollm" => Ok(Self::SmolLm),
            "llama-bpe" | "llama3" | "llama-v3" => Ok(Self::Llama3),
            "qwen2" | "deepseek-r1-qwen" => Ok(Self::Qwen2),
            other => Err(ModelError::unsupported(format!(
                "its pre-tokenizer {other} is not known; use a file with gpt-2, smollm, llama-bpe or qwen2, or one \
                 converted by this program"
            ))),
        }
    }

    fn pre_tokenizer(self) -> Result<PreTokenizerWrapper, ModelError> {
        let split = |pattern: &str| -> Result<PreTokenizerWrapper, ModelError> {
            let pattern = SplitPattern::Regex(pattern.to_owned());
            Ok(Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(invalid)?.into())
        };
        let first = match self {
            Self::Gpt2 => return Ok(ByteLevel::new(false, true, true).into()),
            Self::SmolLm => Digits::new(true).into(),
            Self::Llama3 => split(LLAMA3_PATTERN)?,
            Self::Qwen2 => split(QWEN2_PATTERN)?,
        };
        let bytes = ByteLevel::new(false, true, self == Self::SmolLm);
        Ok(PreTokenizers::new(vec![first, bytes.into()]).into())
    }
}

/// The `tokenizer.ggml.pre` name of a `tokenizer.json`'s `pre_tokenizer`, if it is one of those known here.
pub(crate) fn pre_name(pre_tokenizer: &Json) -> Option<&'static str> {
    let is_bytes = |step: &Json, use_regex: bool| {
        step["type"] == "ByteLevel"
            && step["add_prefix_space"] == false
            && step.get("use_regex").and_then(Json::as_bool).unwrap_or(true) == use_regex
    };
    if is_bytes(pre_tokenizer, true) {
        return Some("gpt-2");
    }
    match pre_tokenizer.get("pretokenizers").and_then(Json::as_array).map(Vec::as_slice) {
        Some([digits, bytes])
            if digits["type"] == "Digits" && digits["individual_digits"] == true && is_bytes(bytes, true) =>
        {
            Some("smollm")
        }
        Some([split, bytes]) if split["type"] == "Split" && is_bytes(bytes, false) => {
            match split["pattern"]["Regex"].as_str() {
                Some(LLAMA3_PATTERN) => Some("llama-bpe"),
                Some(QWEN2_PATTERN) => Some("qwen2"),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The byte that a SentencePiece byte token (`<0x0A>`) stands for.
pub(crate) fn byte_of(token: &str) -> Option<u8> {
    let hex = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (hex.len() == 2).then(|| u8::from_str_radix(hex, 16).ok())?
}

pub(super) fn from_vocabulary(gguf: &Gguf) -> Result<Tokenizer, ModelError> {
    let tokens = gguf.strs("tokenizer.ggml.tokens")?;
    if u32::try_from(tokens.len()).is_err() || tokens.is_empty() {
        return Err(ModelError::invalid("tokenizer.ggml.tokens", format!("has {} entries", tokens.len())));
    }
    let types = gguf.opt_u32s("tokenizer.ggml.token_type")?.unwrap_or_else(|| vec![1; tokens.len()]);
    if types.len() != tokens.len() {
        let reason = format!("has {} entries for {} tokens", types.len(), tokens.len());
        return Err(ModelError::invalid("tokenizer.ggml.token_type", reason));
    }
    let mut tokenizer = match gguf.str("tokenizer.ggml.model")? {
        "gpt2" => byte_level_bpe(gguf, &tokens)?,
        "llama" => sentencepiece_bpe(gguf, &tokens, &types)?,
        "bert" => wordpiece(gguf, &tokens, &types)?,
        other => {
            return Err(ModelError::unsupported(format!(
                "its vocabulary is of the kind {other}; only gpt2, llama and bert are read"
            )));
        }
    };
    let of_types = |wanted: &[TokenType]| {
        let wanted: Vec<u32> = wanted.iter().map(|kind| *kind as u32).collect();
        tokens.iter().zip(&types).filter(move |(_, kind)| wanted.contains(kind)).map(|(token, _)| *token)
    };
    let special = of_types(&[TokenType::Control, TokenType::Unknown]).map(|token| AddedToken::from(token, true));
    tokenizer.add_special_tokens(special).map_err(invalid)?;
    let plain = of_types(&[TokenType::UserDefined]).map(|token| AddedToken::from(token, false).normalized(false));
    tokenizer.add_tokens(plain).map_err(invalid)?;
    Ok(tokenizer)
}

fn byte_level_bpe(gguf: &Gguf, tokens: &[&str]) -> Result<Tokenizer, ModelError> {
    let pre = match gguf.opt_str("tokenizer.ggml.pre")? {
        Some(name) => Pre::from_name(name)?,
        None => {
            return Err(ModelError::unsupported(
                "it does not name its pre-tokenizer (tokenizer.ggml.pre); convert it with a current llama.cpp",
            ));
        }
    };
    let merges = gguf
        .strs("tokenizer.ggml.merges")?
        .into_iter()
        .map(|merge| merge.split_once(' ').map(|(left, right)| (left.to_owned(), right.to_owned())))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| ModelError::invalid("tokenizer.ggml.merges", "has an entry that is not two tokens"))?;
    let model = BPE::builder()
        .vocab_and_merges(vocab(tokens.iter().map(|token| token.to_string())), merges)
        .ignore_merges(pre == Pre::Llama3)
        .build()
        .map_err(invalid)?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(pre.pre_tokenizer()?));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    if pre == Pre::Qwen2 {
        tokenizer.with_normalizer(Some(NFC)).map_err(invalid)?;
    }
    add_template(gguf, tokens, pre == Pre::Llama3, &mut tokenizer)?;
    Ok(tokenizer)
}

/// SentencePiece BPE merges the adjacent pair whose joined token scores highest, leftmost first; that is BPE whose
/// merges are all ways to split a token in two tokens, ordered by the token's score. Control, unknown and byte tokens
/// are never made by merging.
fn sentencepiece_bpe(gguf: &Gguf, tokens: &[&str], types: &[u32]) -> Result<Tokenizer, ModelError> {
    let scores = gguf.f32s("tokenizer.ggml.scores")?;
    if scores.len() != tokens.len() {
        let reason = format!("has {} entries for {} tokens", scores.len(), tokens.len());
        return Err(ModelError::invalid("tokenizer.ggml.scores", reason));
    }
    let ids: HashMap<&str, usize> = tokens.iter().copied().zip(0..).collect();
    let mut merges = Vec::new();
    let never_merged = [TokenType::Control, TokenType::Unknown, TokenType::Byte].map(|kind| kind as u32);
    let mergeable = tokens.iter().zip(&scores).zip(types).filter(|(_, kind)| !never_merged.contains(kind));
    for ((token, score), _) in mergeable {
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if let (Some(left_id), Some(right_id)) = (ids.get(left), ids.get(right)) {
                merges.push((*score, *left_id, *right_id));
            }
        }
    }
    let distinct: HashSet<u32> = merges.iter().map(|(score, ..)| score.to_bits()).collect();
    if distinct.len() == 1 && merges.len() > 1 {
        return Err(ModelError::unsupported(
            "its SentencePiece vocabulary has no scores; convert it again from the original checkpoint",
        ));
    }
    merges.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let merges = merges.into_iter().map(|(_, left, right)| (tokens[left].to_owned(), tokens[right].to_owned()));

    let unknown = gguf.opt_u32("tokenizer.ggml.unknown_token_id")?.unwrap_or(0) as usize;
    let unknown = tokens.get(unknown).copied().unwrap_or("<unk>");
    let model = BPE::builder()
        .vocab_and_merges(vocab(tokens.iter().map(|token| token.to_string())), merges.collect())
        .unk_token(unknown.to_owned())
        .fuse_unk(true)
        .byte_fallback(true)
        .build()
        .map_err(invalid)?;
    let mut tokenizer = Tokenizer::new(model);
    let add_space = gguf.opt_bool("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let spaces: NormalizerWrapper = Replace::new(" ", WORD_START).map_err(invalid)?.into();
    let mut normalizers = vec![spaces];
    let mut decoder_steps: Vec<DecoderWrapper> =
        vec![Replace::new(WORD_START, " ").map_err(invalid)?.into(), ByteFallback::new().into(), Fuse::new().into()];
    if add_space {
        normalizers.insert(0, Prepend::new(WORD_START.to_owned()).into());
        decoder_steps.push(Strip::new(' ', 1, 0).into());
    }
    tokenizer.with_normalizer(Some(Normalizers::new(normalizers))).map_err(invalid)?;
    tokenizer.with_decoder(Some(decoders::sequence::Sequence::new(decoder_steps)));
    add_template(gguf, tokens, true, &mut tokenizer)?;
    Ok(tokenizer)
}

/// A lower-casing WordPiece tokenizer, the only kind llama.cpp's vocabulary can tell of; `##x` is written `x` there and
/// the start of a word `▁x`.
fn wordpiece(gguf: &Gguf, tokens: &[&str], types: &[u32]) -> Result<Tokenizer, ModelError> {
    let marked = tokens.iter().any(|token| token.starts_with(WORD_START));
    let entries = tokens.iter().zip(types).map(|(token, kind)| match token.strip_prefix(WORD_START) {
        Some(start) => start.to_owned(),
        None if !marked || *kind == TokenType::Control as u32 => token.to_string(),
        None => format!("##{token}"),
    });
    let role = |keys: &[&str], usual: &str| -> Result<(String, u32), ModelError> {
        for key in keys {
            if let Some(id) = gguf.opt_u32(&format!("tokenizer.ggml.{key}"))? {
                let token = tokens.get(id as usize);
                let token =
                    token.ok_or_else(|| ModelError::invalid(*key, format!("{id} is outside the vocabulary")))?;
                return Ok((token.to_string(), id));
            }
        }
        let id = tokens.iter().position(|token| *token == usual);
        let id = id.ok_or_else(|| ModelError::invalid("tokenizer.ggml.tokens", format!("has no {usual}")))?;
        Ok((usual.to_owned(), id as u32))
    };
    let cls = role(&["cls_token_id", "bos_token_id"], "[CLS]")?;
    let sep = role(&["seperator_token_id", "eos_token_id"], "[SEP]")?;
    let (unknown, _) = role(&["unknown_token_id"], "[UNK]")?;
    let model = WordPiece::builder().vocab(vocab(entries)).unk_token(unknown).build().map_err(invalid)?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_normalizer(Some(BertNormalizer::default())).map_err(invalid)?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_decoder(Some(Pieces::default()));
    set_template(&mut tokenizer, Some(cls), Some(sep))?;
    Ok(tokenizer)
}

/// BOS and EOS around a sequence, as the file's flags say.
fn add_template(gguf: &Gguf, tokens: &[&str], usually_bos: bool, tokenizer: &mut Tokenizer) -> Result<(), ModelError> {
    let wanted = |flag: &str, key: &str, usual: bool| -> Result<Option<(String, u32)>, ModelError> {
        if !gguf.opt_bool(&format!("tokenizer.ggml.{flag}"))?.unwrap_or(usual) {
            return Ok(None);
        }
        let id = gguf.u32(&format!("tokenizer.ggml.{key}"))?;
        let token = tokens.get(id as usize);
        let token = token.ok_or_else(|| ModelError::invalid(key, format!("{id} is outside the vocabulary")))?;
        Ok(Some((token.to_string(), id)))
    };
    let bos = wanted("add_bos_token", "bos_token_id", usually_bos)?;
    let eos = wanted("add_eos_token", "eos_token_id", false)?;
    set_template(tokenizer, bos, eos)
}

fn set_template(
    tokenizer: &mut Tokenizer,
    first: Option<(String, u32)>,
    last: Option<(String, u32)>,
) -> Result<(), ModelError> {
    if first.is_none() && last.is_none() {
        return Ok(());
    }
    let names = |token: &Option<(String, u32)>| token.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let single = [names(&first), vec!["$A".to_owned()], names(&last)].concat();
    let mut special: Vec<(String, u32)> = first.into_iter().chain(last).collect();
    special.dedup();
    let template = TemplateProcessing::builder()
        .try_single(single)
        .map_err(|error| ModelError::invalid("the tokenizer", error.to_string()))?
        .special_tokens(special)
        .build()
        .map_err(|error| ModelError::invalid("the tokenizer", error.to_string()))?;
    tokenizer.with_post_processor(Some(template));
    Ok(())
}

/// Ids are positions; of a token that appears twice the first counts.
fn vocab(tokens: impl Iterator<Item = String>) -> Vocab {
    let mut vocab = Vocab::default();
    for (token, id) in tokens.zip(0..) {
        vocab.entry(token).or_insert(id);
    }
    vocab
}

fn invalid(error: tokenizers::Error) -> ModelError {
    ModelError::invalid("the tokenizer", error.to_string())
}
