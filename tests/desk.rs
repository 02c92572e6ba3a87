//! A desk to test on: three small pages made up here, the real embedder, and a reader.

use lectern_engine::index::DenseMode;
use lectern_engine::{EngineError, Gpu, Preference, RetrieveOptions, Session};

use crate::support::{TestHost, adapter_files, block_on, decoder_gguf, embedder_gguf, model_file};

/// Markdown with front matter, nested headings and a link.
pub const HANDBOOK: &str = "---
title: Handbook of the Aldersey lighthouse
---
# The lighthouse

The Aldersey lighthouse was built in 1874 by the engineer *Margaret Holm*. It stands 41 metres tall.

## The lamp

The lamp burned colza oil until 1921 and has been [electric](lamp.html) since. It can be seen from 22 nautical miles.

## Visitors

The tower is open to visitors from May to September. Dogs wait at the gate, and children under six are carried up.
";

/// HTML with what must not be read: a script, a style, a hidden part.
pub const FERRY: &str =
    "<!doctype html><html><head><title>The Aldersey ferry</title><style>p { color: red }</style></head>
<body><script>document.title = 'Timetable of the moon'</script><main><h1>The Aldersey ferry</h1>
<p>The ferry <b>Kittiwake</b> sails from Port Ellery at 07:30 and 16:15, and the crossing takes 50 minutes.</p>
<h2>Tickets</h2><p>A return ticket costs &euro;12.40. Bicycles travel free; cars are not taken aboard.</p>
<p hidden>The ferry has sunk.</p></main></body></html>";

/// Plain text, to be stored as UTF-16.
pub const ORCHARD: &str = "Notes from the orchard\r\n\r\nThe oldest tree of the orchard is a Blenheim Orange apple planted in 1790 \
                           by the gardener Séamus Ó Dálaigh.\r\n\r\nIts apples ripen in late October and are pressed to cider \
                           in the barn behind the chapel.\r\n";

/// The three pages as files: name and bytes.
pub fn pages() -> [(&'static str, Vec<u8>); 3] {
    let utf16 = "\u{feff}".encode_utf16().chain(ORCHARD.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    [("handbook.md", HANDBOOK.into()), ("ferry.html", FERRY.into()), ("orchard.txt", utf16)]
}

/// An engine on the CPU without models.
pub fn bare() -> (Session<TestHost>, TestHost) {
    let host = TestHost::default();
    (Session::new(host.clone(), Preference::Cpu, Gpu::None("this is a test".into())), host)
}

/// With the real embedder and the three pages laid down.
pub fn laid() -> (Session<TestHost>, TestHost) {
    let (mut session, host) = bare();
    block_on(session.load_embedder(model_file(embedder_gguf()))).unwrap();
    for (name, bytes) in pages() {
        lay(&mut session, name, &bytes).unwrap();
    }
    (session, host)
}

/// With the real reader and its `cite` voice as well.
pub fn complete() -> (Session<TestHost>, TestHost) {
    let (mut session, host) = laid();
    block_on(session.load_decoder(model_file(decoder_gguf()))).unwrap();
    let (config_json, safetensors) = adapter_files("cite");
    session.add_adapter("cite", &config_json, &safetensors).unwrap();
    (session, host)
}

pub fn lay(session: &mut Session<TestHost>, name: &str, bytes: &[u8]) -> Result<(), EngineError> {
    block_on(session.add_source(name, bytes, &mut |_| ())).map(drop)
}

/// The `top_k` best passages of all pages, by a scan.
pub fn best(top_k: usize) -> RetrieveOptions<'static> {
    RetrieveOptions { top_k, dense: DenseMode::Exact, ..RetrieveOptions::default() }
}
