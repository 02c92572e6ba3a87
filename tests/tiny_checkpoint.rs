//! A second checkpoint, made here from a seed: what the default model is not (other head size, separate head, scaled
//! rotary positions, every tensor encoding, its own vocabulary), small enough to run in milliseconds.

use half::f16;
use lectern_model::{GgufWriter, TensorKind, Value};

use crate::reference_decoder::{Matrix, ReferenceDecoder, ReferenceLayer};

pub const HIDDEN: usize = 64;
pub const FF: usize = 96;
pub const HEADS: usize = 6;
pub const KV_HEADS: usize = 2;
pub const HEAD_DIM: usize = 16;
pub const N_LAYERS: usize = 3;
pub const N_CTX: usize = 96;
const ROPE_THETA: f64 = 5000.0;
const RMS_NORM_EPS: f32 = 1e-5;

/// Tensor names, Hugging Face module names, rows and columns of a block's linear layers.
pub const LINEARS: [(&str, &str, usize, usize); 7] = [
    ("attn_q", "self_attn.q_proj", HEADS * HEAD_DIM, HIDDEN),
    ("attn_k", "self_attn.k_proj", KV_HEADS * HEAD_DIM, HIDDEN),
    ("attn_v", "self_attn.v_proj", KV_HEADS * HEAD_DIM, HIDDEN),
    ("attn_output", "self_attn.o_proj", HIDDEN, HEADS * HEAD_DIM),
    ("ffn_gate", "mlp.gate_proj", FF, HIDDEN),
    ("ffn_up", "mlp.up_proj", FF, HIDDEN),
    ("ffn_down", "mlp.down_proj", HIDDEN, FF),
];

const MERGES: [&str; 6] = ["t h", "th e", "Ġ the", "i n", "e r", "Ġ a"];
const CHAT_TEMPLATE: &str = "{% for message in messages %}{{ '<|start|>' + message['role'] + ': ' + message['content'] + \
                             '<|stop|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant: ' }}{% endif %}";

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rope {
    Plain,
    Linear(f32),
    /// A factor for each rotary pair, as `rope_freqs.weight` holds them.
    Frequencies,
}

/// What a tiny checkpoint is made like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub tied_head: bool,
    pub rope: Rope,
}

/// The second checkpoint proper.
pub const SECOND: Shape = Shape { tied_head: false, rope: Rope::Linear(4.0) };

pub struct TinyCheckpoint {
    pub gguf: Vec<u8>,
    /// The same numbers, by another path.
    pub reference: ReferenceDecoder,
}

pub fn tiny_checkpoint(shape: Shape) -> TinyCheckpoint {
    let mut rng = Rng(0x7417);
    let tokens = vocabulary();
    let mut writer = GgufWriter::new();
    metadata(&mut writer, &tokens, shape.rope);

    let mut add = |name: &str, kind, rows, cols, head_dim| {
        let (encoded, matrix) = random_matrix(&mut rng, kind, rows, cols);
        writer.tensor(name, &[rows, cols], kind, permute_rows(&encoded, head_dim)).unwrap();
        matrix
    };
    let embedding = add("token_embd.weight", TensorKind::Q8_0, tokens.len(), HIDDEN, None);
    let kinds = [TensorKind::Q4_0, TensorKind::Q4_1, TensorKind::F16, TensorKind::Q8_0, TensorKind::F32];
    let linears: Vec<[Matrix; 7]> = (0..N_LAYERS)
        .map(|layer| {
            std::array::from_fn(|i| {
                let (tensor, _, rows, cols) = LINEARS[i];
                let head_dim = (i < 2).then_some(HEAD_DIM);
                add(&format!("blk.{layer}.{tensor}.weight"), kinds[(i + 2 * layer) % kinds.len()], rows, cols, head_dim)
            })
        })
        .collect();
    let head = match shape.tied_head {
        true => embedding.clone(),
        false => add("output.weight", TensorKind::F16, tokens.len(), HIDDEN, None),
    };
    let mut norm = |name: String| {
        let gain: Vec<f32> = (0..HIDDEN).map(|_| 1.0 + 0.3 * rng.normal()).collect();
        writer.tensor(name, &[HIDDEN], TensorKind::F32, f32_bytes(&gain)).unwrap();
        gain.into_iter().map(f64::from).collect::<Vec<_>>()
    };
    let layers = linears
        .into_iter()
        .enumerate()
        .map(|(i, linears)| ReferenceLayer {
            attention_norm: norm(format!("blk.{i}.attn_norm.weight")),
            mlp_norm: norm(format!("blk.{i}.ffn_norm.weight")),
            linears,
        })
        .collect();
    let output_norm = norm("output_norm.weight".into());
    let factors: Vec<f32> = (0..HEAD_DIM / 2).map(|i| 1.0 + i as f32 * 0.9).collect();
    if shape.rope == Rope::Frequencies {
        writer.tensor("rope_freqs.weight", &[HEAD_DIM / 2], TensorKind::F32, f32_bytes(&factors)).unwrap();
    }
    let reference = ReferenceDecoder {
        num_attention_heads: HEADS,
        num_key_value_heads: KV_HEADS,
        head_dim: HEAD_DIM,
        rms_norm_eps: RMS_NORM_EPS.into(),
        inverse_frequencies: inverse_frequencies(shape.rope, &factors),
        embedding,
        layers,
        output_norm,
        head,
    };
    TinyCheckpoint { gguf: writer.finish(), reference }
}

fn inverse_frequencies(rope: Rope, factors: &[f32]) -> Vec<f64> {
    let plain = (0..HEAD_DIM / 2).map(|i| ROPE_THETA.powf(-2.0 * i as f64 / HEAD_DIM as f64));
    match rope {
        Rope::Plain => plain.collect(),
        Rope::Linear(factor) => plain.map(|f| f / f64::from(factor)).collect(),
        Rope::Frequencies => plain.zip(factors).map(|(f, factor)| f / f64::from(*factor)).collect(),
    }
}

fn metadata(writer: &mut GgufWriter<'_>, tokens: &[String], rope: Rope) {
    writer.set("general.architecture", "llama");
    writer.set("general.name", "Tiny 1M");
    writer.set("general.basename", "tiny");
    writer.set("general.size_label", "1M");
    for (key, value) in [
        ("context_length", N_CTX),
        ("embedding_length", HIDDEN),
        ("block_count", N_LAYERS),
        ("feed_forward_length", FF),
        ("attention.head_count", HEADS),
        ("attention.head_count_kv", KV_HEADS),
        ("attention.key_length", HEAD_DIM),
        ("attention.value_length", HEAD_DIM),
        ("rope.dimension_count", HEAD_DIM),
    ] {
        writer.set(format!("llama.{key}"), value as u32);
    }
    writer.set("llama.attention.layer_norm_rms_epsilon", RMS_NORM_EPS);
    writer.set("llama.rope.freq_base", ROPE_THETA as f32);
    if let Rope::Linear(factor) = rope {
        writer.set("llama.rope.scaling.type", "linear");
        writer.set("llama.rope.scaling.factor", factor);
    }
    writer.set("tokenizer.ggml.model", "gpt2");
    writer.set("tokenizer.ggml.pre", "gpt-2");
    let is_control = |token: &String| token.starts_with("<|") && token.ends_with("|>");
    let types = tokens.iter().map(|token| Value::I32(if is_control(token) { 3 } else { 1 })).collect();
    writer.set("tokenizer.ggml.token_type", Value::Array(types));
    writer.set("tokenizer.ggml.tokens", tokens.to_vec());
    writer.set("tokenizer.ggml.merges", MERGES.to_vec());
    writer.set("tokenizer.ggml.bos_token_id", 0u32);
    writer.set("tokenizer.ggml.eos_token_id", 1u32);
    writer.set("tokenizer.ggml.add_bos_token", false);
    writer.set("tokenizer.chat_template", CHAT_TEMPLATE);
}

/// Two control tokens, the 256 bytes as GPT-2 writes them, and what the merges make.
fn vocabulary() -> Vec<String> {
    let printable = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let mut shifted = 256..;
    let bytes = (0u32..256).map(|byte| if printable(byte) { byte } else { shifted.next().unwrap() });
    let bytes: Vec<String> = bytes.map(|c| char::from_u32(c).unwrap().to_string()).collect();
    let merged = MERGES.iter().map(|merge| merge.replace(' ', ""));
    ["<|start|>", "<|stop|>"].map(String::from).into_iter().chain(bytes).chain(merged).collect()
}

/// A matrix of standard deviation `1/√cols`: its encoded rows, and its numbers by the formula of the encoding.
fn random_matrix(rng: &mut Rng, kind: TensorKind, rows: usize, cols: usize) -> (Vec<Vec<u8>>, Matrix) {
    let (mut encoded, mut values) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let mut row = Vec::new();
        for _ in 0..cols / 32 {
            random_block(rng, kind, 1.0 / (cols as f32).sqrt(), &mut row, &mut values);
        }
        encoded.push(row);
    }
    (encoded, Matrix { rows, cols, values })
}

/// 32 elements of standard deviation `std`, appended to `bytes` and `values`.
fn random_block(rng: &mut Rng, kind: TensorKind, std: f32, bytes: &mut Vec<u8>, values: &mut Vec<f64>) {
    let spread = 0.5 + rng.uniform();
    // Uniform codes 0..16 have a deviation of 4.6, codes -127..=127 one of 73.6.
    let scale = |rng: &mut Rng, deviation: f32| {
        f16::from_f32(std * spread / deviation * if rng.uniform() < 0.5 { -1.0 } else { 1.0 })
    };
    match kind {
        TensorKind::F32 | TensorKind::F16 => {
            for _ in 0..32 {
                let value = std * rng.normal();
                match kind {
                    TensorKind::F32 => bytes.extend(value.to_le_bytes()),
                    _ => bytes.extend(f16::from_f32(value).to_le_bytes()),
                }
                values.push(if kind == TensorKind::F32 { value.into() } else { f16::from_f32(value).to_f64() });
            }
        }
        TensorKind::Q8_0 => {
            let d = scale(rng, 73.6);
            bytes.extend(d.to_le_bytes());
            for _ in 0..32 {
                let code = (rng.next() % 255) as i64 as i16 - 127;
                bytes.push(code as i8 as u8);
                values.push(d.to_f64() * f64::from(code));
            }
        }
        TensorKind::Q4_0 | TensorKind::Q4_1 => {
            let d = scale(rng, 4.6);
            let m = f16::from_f32(d.to_f32() * (-7.5 + rng.normal()));
            bytes.extend(d.to_le_bytes());
            if kind == TensorKind::Q4_1 {
                bytes.extend(m.to_le_bytes());
            }
            let codes: [u8; 32] = std::array::from_fn(|_| (rng.next() % 16) as u8);
            bytes.extend((0..16).map(|i| codes[i] | codes[i + 16] << 4));
            values.extend(codes.map(|code| match kind {
                TensorKind::Q4_0 => d.to_f64() * (f64::from(code) - 8.0),
                _ => d.to_f64() * f64::from(code) + m.to_f64(),
            }));
        }
    }
}

/// One after the other; with a `head_dim`, from Hugging Face's halves to GGUF's neighbouring pairs.
fn permute_rows(rows: &[Vec<u8>], head_dim: Option<usize>) -> Vec<u8> {
    let Some(head_dim) = head_dim else { return rows.concat() };
    let from = |row: usize| row / head_dim * head_dim + row % 2 * (head_dim / 2) + row % head_dim / 2;
    (0..rows.len()).flat_map(|row| rows[from(row)].iter().copied()).collect()
}

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// SplitMix64 (Steele, Lea & Flood 2014).
pub struct Rng(pub u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `[0, 1)`.
    pub fn uniform(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Close to a normal distribution: twelve uniform ones.
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }
}
