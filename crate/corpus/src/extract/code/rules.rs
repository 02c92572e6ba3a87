//! What definitions look like in each language, by the file name's extension.

/// How a definition goes on after its first words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// In braces.
    Braces,
    /// After a colon.
    Colon,
    /// Up to a word such as `end`.
    Words,
}

/// Which lines may be definitions without a keyword: `name(…) {`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Methods {
    None,
    /// Within a class only.
    Inside,
    /// Also at the top.
    Anywhere,
}

/// The line rules of a family of languages.
#[derive(Debug)]
pub(super) struct Rules {
    /// Words that may stand before the keyword.
    pub modifiers: &'static [&'static str],
    /// Keywords of definitions that hold others.
    pub containers: &'static [&'static str],
    pub functions: &'static [&'static str],
    /// Keywords of values: a definition where they are functions or go over several lines.
    pub values: &'static [&'static str],
    pub methods: Methods,
    pub body: Body,
    /// What lines of comments and attributes open with.
    pub leaders: &'static [&'static str],
}

const SLASHES: &[&str] = &["//", "/*", "*", "@"];

const PYTHON: Rules = Rules {
    modifiers: &["async"],
    containers: &["class"],
    functions: &["def"],
    values: &[],
    methods: Methods::None,
    body: Body::Colon,
    leaders: &["#", "@"],
};
const RUST: Rules = Rules {
    modifiers: &["pub", "async", "unsafe", "const", "extern", "default"],
    containers: &["struct", "enum", "union", "trait", "impl", "mod"],
    functions: &["fn", "macro_rules!"],
    values: &["const", "static", "type"],
    methods: Methods::None,
    body: Body::Braces,
    leaders: &["//", "/*", "*", "#["],
};
const SCRIPT: Rules = Rules {
    modifiers: &[
        "export",
        "default",
        "async",
        "declare",
        "abstract",
        "public",
        "private",
        "protected",
        "static",
        "readonly",
        "override",
        "get",
        "set",
    ],
    containers: &["class", "interface", "enum", "namespace"],
    functions: &["function", "function*"],
    values: &["const", "let", "var", "type"],
    methods: Methods::Inside,
    body: Body::Braces,
    leaders: SLASHES,
};
const GO: Rules = Rules {
    modifiers: &[],
    containers: &["type"],
    functions: &["func"],
    values: &["const", "var"],
    methods: Methods::None,
    body: Body::Braces,
    leaders: &["//", "/*", "*"],
};
/// Java, Kotlin, C#, Scala, Swift.
const CLASSES: Rules = Rules {
    modifiers: &[
        "public",
        "private",
        "protected",
        "internal",
        "static",
        "final",
        "abstract",
        "sealed",
        "override",
        "virtual",
        "async",
        "partial",
        "readonly",
        "open",
        "data",
        "inline",
        "suspend",
        "unsafe",
        "synchronized",
        "default",
        "operator",
        "case",
        "implicit",
        "mutating",
        "fileprivate",
        "inner",
        "companion",
    ],
    containers: &[
        "class",
        "interface",
        "@interface",
        "enum",
        "record",
        "struct",
        "object",
        "namespace",
        "trait",
        "protocol",
        "extension",
    ],
    functions: &["fun", "def", "func"],
    values: &[],
    methods: Methods::Inside,
    body: Body::Braces,
    leaders: &["//", "/*", "*", "@", "["],
};
const C: Rules = Rules {
    modifiers: &["static", "inline", "extern", "virtual", "constexpr", "explicit", "typedef"],
    containers: &["struct", "class", "union", "enum", "namespace"],
    functions: &[],
    values: &[],
    methods: Methods::Anywhere,
    body: Body::Braces,
    leaders: &["//", "/*", "*", "template"],
};
const RUBY: Rules = Rules {
    modifiers: &["private", "protected", "public"],
    containers: &["class", "module"],
    functions: &["def"],
    values: &[],
    methods: Methods::None,
    body: Body::Words,
    leaders: &["#"],
};
const PHP: Rules = Rules {
    modifiers: &["public", "private", "protected", "static", "final", "abstract", "readonly"],
    containers: &["class", "interface", "trait", "enum"],
    functions: &["function"],
    values: &["const"],
    methods: Methods::None,
    body: Body::Braces,
    leaders: &["//", "/*", "*", "#"],
};
const SHELL: Rules = Rules {
    modifiers: &[],
    containers: &[],
    functions: &["function", "sub"],
    values: &[],
    methods: Methods::Anywhere,
    body: Body::Braces,
    leaders: &["#"],
};
const LUA: Rules = Rules {
    modifiers: &["local"],
    containers: &[],
    functions: &["function"],
    values: &[],
    methods: Methods::None,
    body: Body::Words,
    leaders: &["--"],
};
/// Settings, queries and styles: kept line by line, with no definitions to find.
const LINES: Rules = Rules {
    modifiers: &[],
    containers: &[],
    functions: &[],
    values: &[],
    methods: Methods::None,
    body: Body::Words,
    leaders: &[],
};

/// The rules for an extension in lower case; none where it is not one of source code.
pub(super) fn rules(extension: &str) -> Option<&'static Rules> {
    Some(match extension {
        "py" | "pyi" | "pyx" => &PYTHON,
        "rs" => &RUST,
        "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" => &SCRIPT,
        "go" => &GO,
        "java" | "kt" | "kts" | "cs" | "scala" | "swift" | "groovy" | "dart" => &CLASSES,
        "c" | "h" | "cc" | "cpp" | "cxx" | "hpp" | "hh" | "hxx" | "wgsl" | "glsl" => &C,
        "rb" => &RUBY,
        "php" => &PHP,
        "sh" | "bash" | "zsh" | "pl" | "pm" => &SHELL,
        "lua" => &LUA,
        "css" | "scss" | "less" | "sql" | "yaml" | "yml" | "toml" | "ini" | "cfg" | "conf" | "r" | "jl" | "ex"
        | "exs" | "erl" | "hs" | "ml" | "clj" | "el" | "vim" | "ps1" | "bat" | "mk" | "cmake" | "gradle" | "proto"
        | "graphql" | "tf" | "nix" | "zig" | "vue" | "svelte" | "tex" | "bib" => &LINES,
        _ => return None,
    })
}
