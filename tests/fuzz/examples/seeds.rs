//! Writes the seeds of all targets to `seeds/`: `cargo run --example seeds`.
//!
//! Each is made here, small, and holds something of all that its format has.

use std::{fs, path::Path};

use lectern_fuzz::{
    index::{Stored, payload},
    package::{BOOK, Part, WORD, pack},
    pdf,
};
use lectern_model::{GgufWriter, TensorKind, Value};
use safetensors::{Dtype, tensor::TensorView};

type Seed = (String, Vec<u8>);

/// `bert.pooling_type`.
const MEAN: u32 = 1;
const RANK: u32 = 4;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for (target, seeds) in all() {
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in seeds {
            fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}

fn all() -> Vec<(&'static str, Vec<Seed>)> {
    let written = |text: &str| vec![seed("all", text)];
    vec![
        ("extract_markdown", written(include_str!("texts/all.md"))),
        ("extract_html", written(include_str!("texts/all.html"))),
        ("extract_plain", plain()),
        ("extract_rst", written(include_str!("texts/all.rst"))),
        ("extract_asciidoc", written(include_str!("texts/all.adoc"))),
        ("extract_csv", tables()),
        ("extract_json", json()),
        ("extract_code", code()),
        ("extract_docx", parts(&WORD)),
        ("extract_epub", parts(&BOOK)),
        ("extract_pdf", pdfs()),
        ("archive", archives()),
        ("chunker", passages()),
        ("gguf", vec![seed("small", gguf())]),
        ("model", models()),
        ("safetensors", adapters()),
        ("index_format", indexes()),
    ]
}

fn seed(name: &str, bytes: impl AsRef<[u8]>) -> Seed {
    (name.to_owned(), bytes.as_ref().to_vec())
}

/// A seed for a target whose first byte chooses what the others are.
fn chosen(name: &str, first: usize, bytes: impl AsRef<[u8]>) -> Seed {
    (name.to_owned(), [&[first as u8], bytes.as_ref()].concat())
}

fn plain() -> Vec<Seed> {
    let text =
        "The keeper\u{2019}s light\n===\n\nIt burns by night,\nand na\u{ef}vely by day.\n\n- oil\n- \u{65e5}\u{672c}\n";
    let utf16 = |mark: u16, order: fn(u16) -> [u8; 2]| {
        std::iter::once(mark).chain(text.encode_utf16()).flat_map(order).collect::<Vec<u8>>()
    };
    vec![
        seed("utf-8", text),
        seed("utf-8-marked", format!("\u{FEFF}{text}")),
        seed("utf-16-le", utf16(0xFEFF, u16::to_le_bytes)),
        seed("utf-16-be", utf16(0xFEFF, u16::to_be_bytes)),
        seed("latin-1", b"Der W\xE4chter z\xFCndet das Licht \xFCber dem Meer an und h\xF6rt \x84nichts\x93.\r\n"),
        seed("windows-1251", b"\xD1\xEC\xEE\xF2\xF0\xE8\xF2\xE5\xEB\xFC \xEC\xE0\xFF\xEA\xE0 \xE7\xE0\xE6\xE8\xE3\xE0\xE5\xF2 \xF1\xE2\xE5\xF2.\n"),
        seed("shift-jis", b"\x93\xFA\x96\x7B\x8C\xEA\x82\xCC\x83\x65\x83\x4C\x83\x58\x83\x67\n"),
    ]
}

fn tables() -> Vec<Seed> {
    vec![
        seed("commas", "hour,light,\"what, exactly\"\n1,on,\"oil \"\"fine\"\"\"\n2,off,\"two\nlines\"\n"),
        seed("tabs", "hour\tlight\n1\ton\n2\toff\n\n3\t\n"),
        seed("semicolons", "sep=;\nStunde;Licht\n1;3,5\n2;4,5\n"),
        seed("bars", "a|b\r\n1|2\r\n"),
    ]
}

fn json() -> Vec<Seed> {
    vec![
        seed(
            "object",
            r#"{"keeper": {"name": "Ann \u00e9\ud83d\ude00\n", "nights": [1, -2.5e3, true, null, []]}, "": {}}"#,
        ),
        seed("lines", "{\"a\": [[{\"b\": 1}]]}\n{\"a\": \"two\"}\n\"word\" 7\n"),
        seed("broken", "{\"a\": [1, 2,"),
    ]
}

/// One for each language, in the order that the target knows them by.
fn code() -> Vec<Seed> {
    let sources = [
        (
            "python",
            "# keepers\nclass A(B):\n    @x\n    async def light(self,\n              oil):\n        return 1\n\ndef b(): pass\n",
        ),
        (
            "rust",
            "//! Keepers.\n#[derive(A)]\npub(crate) struct A<T> {\n    a: T,\n}\nimpl<T> A<T> {\n    /// b\n    pub const fn b() {}\n}\nmacro_rules! m { () => {} }\n",
        ),
        (
            "script",
            "export default class A extends B {\n  static async light(oil) {\n  }\n  get wick() { return 1 }\n}\nconst f = async (x) => {\n  y()\n}\n",
        ),
        (
            "go",
            "package a\n\n// Light burns.\nfunc (k *Keeper) Light() error {\n\treturn nil\n}\ntype A struct {\n\tB int\n}\n",
        ),
        (
            "java",
            "package a;\n@X\npublic final class A<T> implements B {\n  private static int light(int a,\n      int b) {\n    return 1;\n  }\n}\n",
        ),
        (
            "c",
            "#include <a.h>\nstruct a { int b; };\nstatic int *light(int oil)\n{\n  return 0;\n}\nnamespace n { class C { void d() {} }; }\n",
        ),
        ("ruby", "module A\n  class B < C\n    def light(oil)\n      1\n    end\n  end\nend\n"),
        ("php", "<?php\nnamespace A;\nclass B {\n  public function light($oil) {\n  }\n}\n"),
        ("shell", "#!/bin/sh\nlight() {\n  echo 1\n}\nfunction oil {\n  :\n}\n"),
        ("lua", "local function light(oil)\n  return 1\nend\nfunction a.b:c()\nend\n"),
        ("lines", "\\section{Light}\nIt burns.\n\n\n% by night\n\\end{a}\n"),
    ];
    sources.iter().enumerate().map(|(i, (name, source))| chosen(name, i, source)).collect()
}

/// Each part by itself, and the whole package.
fn parts(all: &[Part]) -> Vec<Seed> {
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).replace(['[', ']'], "");
    let parts = all.iter().enumerate().map(|(i, (path, content))| chosen(&name(path), i, content));
    let entries: Vec<(&str, &[u8])> = all.iter().map(|(path, content)| (*path, content.as_bytes())).collect();
    parts.chain([seed("whole", pack(&entries))]).collect()
}

/// Each part that the target can replace, and the whole file.
fn pdfs() -> Vec<Seed> {
    vec![
        seed("whole", pdf::whole()),
        chosen("content", 0, pdf::CONTENT),
        chosen("lzw", 1, b"\x80\x0B\x60\x50\x22\x0C\x0C\x85\x01"),
        chosen("ascii85", 2, b"6<#'\\7PQ#@1a#b0+>GQ(+?(u.+B2ko-qIocCi:FtDfTZ).9(%)78s~>"),
        chosen("run-lengths", 3, b"\x0eBT /F1 9 Tf (a) \xfex\x02Tj \x80"),
        chosen("predicted", 4, b"\x78\x01\x01\x0a\x00\xf5\xff\x02BT /\x02F1 9\x16\x2c\x03\x5b"),
        chosen("to-unicode", 5, pdf::TO_UNICODE),
        chosen("encoding", 6, pdf::ENCODING),
        chosen("type-1", 7, b"%!PS-AdobeFont-1.0: Own\n/Encoding 256 array dup 65 /A put readonly def\n/FontMatrix [0.001 0 0 0.001 0 0] def currentfile eexec\n"),
        chosen("cff", 8, CFF),
        chosen("form", 9, "q 2 0 0 2 0 0 cm BT /F2 9 Tf (a) Tj ET Q /X Do"),
        chosen("font", 10, "<</Type/Font/Subtype/TrueType/BaseFont/Arial,Bold/FirstChar 32/LastChar 33/Widths[250 333]/Encoding/WinAnsiEncoding>>"),
        chosen("type-3", 10, "<</Type/Font/Subtype/Type3/FontMatrix[0.01 0 0 0.01 0 0]/FontBBox[0 0 100 100]/CharProcs<</a 12 0 R>>/Encoding<</Differences[75/a]>>/FirstChar 75/LastChar 75/Widths[90]/ToUnicode 8 0 R>>"),
        chosen("collection", 11, "<</Type/Font/Subtype/Type0/BaseFont/Own/Encoding/90ms-RKSJ-V/DescendantFonts[<</Subtype/CIDFontType0/CIDSystemInfo<</Registry(Adobe)/Ordering(Japan1)/Supplement 2>>/W2[1 9 -900 500 880]>>]>>"),
        chosen("page", 12, "<</Type/Page/Parent 2 0 R/Rotate 90/MediaBox[0 0 300 400]/Contents[4 0 R 4 0 R]/Resources<</Font<</F1 5 0 R/F2 6 0 R/F3 7 0 R>>/XObject<</X 12 0 R>>>>>>"),
    ]
}

/// A font of one empty glyph.
const CFF: &[u8] = b"\x01\x00\x04\x01\x00\x01\x01\x01\x04Own\x00\x01\x01\x01\x08\x8b\x0f\xb0\x11\x8b\x8b\x12\x00\x00\x00\x00\x00\x01\x01\x01\x02\x0e";

fn archives() -> Vec<Seed> {
    let inner = pack(&[("deep.md", b"deep"), ("../up.txt", b"up")]);
    vec![
        seed("whole", pack(&[("a/", b""), ("a/a.md", b"# A"), (".hidden", b"x"), ("inner.zip", &inner)])),
        chosen("inner", 0, &inner),
        chosen("named", 1, "folder/.\\a.md\n# A"),
        chosen("named-inner", 2, "__MACOSX/a:b\nx"),
    ]
}

/// How to cut, the format, the text.
fn passages() -> Vec<Seed> {
    let with = |how: u8, format: u8, text: &str| [&[how, format], text.as_bytes()].concat();
    let wrapped = "The keeper of the light writes every night what ships\nhave passed and what the weather was. He does so\nby hand, e.g. with ink.\n\n- one\n- two\n";
    vec![
        seed("markdown", with(20, 0, include_str!("texts/all.md"))),
        seed("overlapping", with(64 + 9, 0, include_str!("texts/all.md"))),
        seed("wrapped", with(2 * 64 + 12, 1, wrapped)),
        seed(
            "without-spaces",
            with(0, 1, "\u{65e5}\u{672c}\u{8a9e}\u{3002}abcdefghijklmnopqrstuvwxyz\u{1f469}\u{200d}\u{1f4bb}"),
        ),
    ]
}

fn gguf() -> Vec<u8> {
    let mut file = GgufWriter::new();
    file.set("general.architecture", "llama");
    file.set("general.alignment", 32u32);
    file.set("llama.rope.freq_base", 1e4f32);
    file.set("tokenizer.ggml.tokens", Value::Array(["a", "b"].map(Value::from).into()));
    file.set("nested", Value::Array(vec![Value::Array(vec![Value::U8(1)]), Value::Array(vec![Value::U8(2)])]));
    file.set("others", Value::I64(-1));
    file.set("flag", Value::Bool(true));
    let tensors = [
        ("output_norm.weight", &[3][..], TensorKind::F32, 12),
        ("blk.0.attn_q.weight", &[2, 32], TensorKind::Q4_0, 36),
        ("blk.0.attn_k.weight", &[1, 64], TensorKind::Q4_1, 40),
        ("blk.1.ffn_up.weight", &[1, 32], TensorKind::Q8_0, 34),
        ("token_embd.weight", &[2, 3], TensorKind::F16, 12),
    ];
    for (name, shape, kind, n_bytes) in tensors {
        let data: Vec<u8> = (0..n_bytes).map(|i| i as u8).collect();
        file.tensor(name, shape, kind, data).expect("as many bytes as the shape says");
    }
    file.finish()
}

/// A decoder with each kind of vocabulary, an embedder and a re-ranker, each of one layer.
fn models() -> Vec<Seed> {
    let matrix = |file: &mut GgufWriter, name: &str, rows: usize, cols: usize| {
        let data: Vec<u8> = (0..rows * cols / 32)
            .flat_map(|i| [0, 36].into_iter().chain((0..32).map(move |j| (i * 7 + j * 3) as u8)))
            .collect();
        file.tensor(name, &[rows, cols], TensorKind::Q8_0, data).expect("as many bytes as the shape says");
    };
    let vector = |file: &mut GgufWriter, name: &str, len: usize| {
        file.tensor(name, &[len], TensorKind::F16, [0, 60].repeat(len)).expect("as many bytes as the shape says");
    };
    let texts = |texts: &[&str]| Value::Array(texts.iter().copied().map(Value::from).collect());
    let decoder = |kind: &str| {
        let mut file = GgufWriter::new();
        file.set("general.architecture", "llama");
        for (key, value) in
            [("embedding_length", 32u32), ("feed_forward_length", 32), ("block_count", 1), ("context_length", 32)]
        {
            file.set(format!("llama.{key}"), value);
        }
        file.set("llama.attention.head_count", 2u32);
        file.set("llama.attention.head_count_kv", 1u32);
        file.set("llama.attention.layer_norm_rms_epsilon", 1e-5f32);
        file.set("tokenizer.ggml.model", kind);
        file.set("tokenizer.ggml.pre", "smollm");
        file.set("tokenizer.ggml.tokens", texts(&["<s>", "a", "b", "ab", "<0x0A>", "\u{2581}", "\u{120}", "\u{c3}"]));
        file.set("tokenizer.ggml.scores", Value::Array((0..8).map(|i| Value::F32(-(i as f32))).collect()));
        file.set("tokenizer.ggml.token_type", Value::Array([3u32, 1, 1, 1, 6, 1, 1, 1].map(Value::from).into()));
        file.set("tokenizer.ggml.merges", texts(&["a b"]));
        file.set("tokenizer.ggml.bos_token_id", 0u32);
        file.set("tokenizer.ggml.eos_token_id", 0u32);
        file.set("tokenizer.chat_template", "{% for m in messages %}{{ m['content'] | trim }}{% endfor %}");
        matrix(&mut file, "token_embd.weight", 8, 32);
        vector(&mut file, "output_norm.weight", 32);
        for name in ["attn_norm", "ffn_norm"] {
            vector(&mut file, &format!("blk.0.{name}.weight"), 32);
        }
        for (name, rows) in [
            ("attn_q", 32),
            ("attn_k", 16),
            ("attn_v", 16),
            ("attn_output", 32),
            ("ffn_gate", 32),
            ("ffn_up", 32),
            ("ffn_down", 32),
        ] {
            matrix(&mut file, &format!("blk.0.{name}.weight"), rows, 32);
        }
        file.finish()
    };
    let encoder = |pooling: u32| {
        let mut file = GgufWriter::new();
        file.set("general.architecture", "bert");
        for (key, value) in [
            ("embedding_length", 32u32),
            ("feed_forward_length", 32),
            ("block_count", 1),
            ("context_length", 16),
            ("attention.head_count", 4),
            ("pooling_type", pooling),
        ] {
            file.set(format!("bert.{key}"), value);
        }
        file.set("bert.attention.layer_norm_epsilon", 1e-12f32);
        file.set("tokenizer.ggml.model", "bert");
        file.set(
            "tokenizer.ggml.tokens",
            texts(&["[CLS]", "[SEP]", "[UNK]", "\u{2581}b", "\u{2581}a", "b", "e", "<s>"]),
        );
        file.set("tokenizer.ggml.token_type", Value::Array([3u32, 3, 3, 1, 1, 1, 1, 1].map(Value::from).into()));
        for (key, id) in [("cls", 0u32), ("seperator", 1), ("unknown", 2)] {
            file.set(format!("tokenizer.ggml.{key}_token_id"), id);
        }
        matrix(&mut file, "token_embd.weight", 8, 32);
        matrix(&mut file, "position_embd.weight", 16, 32);
        matrix(&mut file, "token_types.weight", 2, 32);
        let mut linears = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", "ffn_down"]
            .map(|name| format!("blk.0.{name}"))
            .to_vec();
        if pooling == RANK {
            linears.push("cls".into());
            vector(&mut file, "cls.output.weight", 32);
            vector(&mut file, "cls.output.bias", 1);
        }
        for name in linears {
            matrix(&mut file, &format!("{name}.weight"), 32, 32);
            vector(&mut file, &format!("{name}.bias"), 32);
        }
        for name in ["token_embd_norm", "blk.0.attn_output_norm", "blk.0.layer_output_norm"] {
            vector(&mut file, &format!("{name}.weight"), 32);
            vector(&mut file, &format!("{name}.bias"), 32);
        }
        file.finish()
    };
    vec![
        seed("decoder-bytes", decoder("gpt2")),
        seed("decoder-pieces", decoder("llama")),
        seed("embedder", encoder(MEAN)),
        seed("reranker", encoder(RANK)),
    ]
}

fn adapters() -> Vec<Seed> {
    let config = r#"{"peft_type": "LORA", "base_model_name_or_path": "a/b", "r": 2, "lora_alpha": 4, "use_rslora": true,
 "target_modules": ["q_proj"], "rank_pattern": {"layers.0.self_attn.q_proj": 2}, "alpha_pattern": {"q_proj": 8.5}, "bias": "none"}"#;
    let half = [0, 60].repeat(8);
    let full = 0.5f32.to_le_bytes().repeat(8);
    let with = |dtype, data: &[u8]| {
        let tensor = |shape: [usize; 2]| TensorView::new(dtype, shape.into(), data).expect("as long as the shape says");
        let name = |which: &str| format!("base_model.model.model.layers.0.self_attn.q_proj.lora_{which}.weight");
        let tensors = safetensors::serialize([(name("A"), tensor([2, 4])), (name("B"), tensor([4, 2]))], None);
        let length = (config.len() as u16).to_le_bytes();
        [&length, config.as_bytes(), &tensors.expect("plain data always serialises")].concat()
    };
    vec![
        seed("f16", with(Dtype::F16, &half)),
        seed("bf16", with(Dtype::BF16, &half)),
        seed("f32", with(Dtype::F32, &full)),
    ]
}

fn indexes() -> Vec<Seed> {
    let kinds = [("job", Stored::Job), ("segment", Stored::Segment)];
    kinds.iter().enumerate().map(|(i, (name, kind))| chosen(name, i, payload(*kind))).collect()
}
