use super::*;

/// `UPDATE_EXPECT=1 cargo test -p lectern-wasm` writes the file anew.
#[test]
fn the_types_of_the_page_are_those_of_the_engine() {
    let config = ts_rs::Config::default();
    let mut file = String::from(
        "/** The data that crosses the wasm boundary, generated from crate/wasm/src/dto.rs. `start` and `end` are UTF-8 byte offsets into a source's text. */\n",
    );
    macro_rules! declare {
        ($($name:ident),*) => {$( file += &format!("\nexport {}\n", $name::decl(&config)); )*};
    }
    declare!(
        Device,
        Adapter,
        Executor,
        ExecutorInfo,
        ModelInfo,
        LoadedDecoder,
        Reading,
        AdapterInfo,
        SourceFormat,
        SourceInfo,
        OpenedCollection,
        Section,
        SourceText,
        Hit,
        DensePath,
        Respelling,
        SearchResult,
        SamplingOptions,
        AskOptions,
        Exchange,
        Precision,
        GenerateOptions,
        Citation,
        Support,
        Sentence,
        Usage,
        Timings,
        Stopped,
        Answer,
        AskEvent,
        IngestEvent,
        TopLogits,
        Generation,
        ErrorInfo
    );
    expect_test::expect_file!["../../../../www/client/generated.ts"].assert_eq(&file);
}
