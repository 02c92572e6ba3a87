use super::*;

/// Levels and titles, with the first line of each section.
fn found(name: &str, source: &str) -> Vec<(u8, String, String)> {
    let extracted = extract(name, source);
    assert_eq!(extracted.text, source.trim());
    let first_line = |span: crate::Span| span.of(source.trim()).unwrap().lines().next().unwrap().to_owned();
    extracted.sections.into_iter().map(|s| (s.level, s.title, first_line(s.span))).collect()
}

fn titles(name: &str, source: &str) -> Vec<String> {
    found(name, source).into_iter().map(|(level, title, _)| format!("{level} {title}")).collect()
}

#[test]
fn comments_and_decorators_belong_to_the_definition_below() {
    let source = "import os\n\nclass A(B):\n    \"\"\"class of things\"\"\"\n\n    # why\n    @property\n    def fee(self):\n        def inner(): pass\n        return 1\n\n@cache\nasync def top(\n    x):\n    pass";
    assert_eq!(
        found("a.py", source),
        [
            (1, "class A".to_owned(), "class A(B):".to_owned()),
            (2, "def fee".to_owned(), "# why".to_owned()),
            (1, "def top".to_owned(), "@cache".to_owned()),
        ]
    );
}

#[test]
fn rust() {
    let source = "//! Module.\n\nmod other;\nconst N: usize = 1;\n\n/// Doc.\n#[derive(Debug)]\npub(crate) struct A<T> {\n    x: T,\n}\n\nimpl<T> fmt::Display for A<T>\nwhere\n    T: X,\n{\n    /// Says.\n    pub const fn say(&self) -> (u8, u8) {\n        fn inner() {}\n    }\n}\n\nconst TABLE: [u8; 2] = [\n    1, 2,\n];\nmacro_rules! m {\n}";
    assert_eq!(
        titles("a.rs", source),
        ["1 struct A<T>", "1 impl<T> fmt::Display for A<T> where", "2 fn say", "1 const TABLE", "1 macro_rules! m"]
            .map(|title| title.replace(" where", ""))
    );
    assert_eq!(found("a.rs", source)[0].2, "/// Doc.");
}

#[test]
fn scripts() {
    let source = "import x from 'y';\nconst small = 1;\nexport const go = async (a) => {\n  if (a) {\n  }\n};\n\n/** Doc. */\nexport default class Quay extends Port {\n  constructor(a) {\n    super(a);\n  }\n\n  async fee(x): number {\n    return call(x);\n  }\n}\ninterface Ship {\n  name: string;\n}\nfunction* walk() {}";
    assert_eq!(
        titles("a.ts", source),
        ["1 const go", "1 class Quay extends Port", "2 constructor", "2 fee", "1 interface Ship", "1 function* walk"]
    );
}

#[test]
fn languages_with_classes() {
    let java = "package a;\n\n/**\n * Doc.\n */\n@Entity\npublic class Quay<T> implements X {\n    private int fee = f(1);\n\n    public Quay(int a) {\n        if (a > 1) {\n        }\n    }\n\n    @Override\n    public List<String> names(\n        int a\n    ) {\n    }\n}";
    assert_eq!(titles("a.java", java), ["1 class Quay<T> implements X", "2 Quay", "2 List<String> names"]);
    assert_eq!(found("a.java", java)[0].2, "/**");
    let kotlin = "data class A(val x: Int) {\n    override fun fee() = 1\n}\nfun top(): Int {\n}";
    assert_eq!(titles("a.kt", kotlin), ["1 class A", "2 fun fee", "1 fun top"]);
    let sharp =
        "namespace Port\n{\n    public class A\n    {\n        public int Fee(int x)\n        {\n        }\n    }\n}";
    assert_eq!(titles("a.cs", sharp), ["1 namespace Port", "2 class A", "3 int Fee"]);
    let php = "<?php\n#[X]\nfinal class A {\n    public static function go(): int {\n    }\n}";
    assert_eq!(titles("a.php", php), ["1 class A", "2 function go"]);
}

#[test]
fn the_others() {
    let go = "package a\n\n// Fee is.\nfunc (q *Quay) Fee(x int) error {\n\tif x {\n\t}\n}\n\ntype Quay struct {\n\tx int\n}\n\nvar small = 1";
    assert_eq!(titles("a.go", go), ["1 func (q *Quay) Fee", "1 type Quay struct"]);
    let c = "#include <x.h>\n\nstatic int count;\nvoid declared(int);\n\n/* Doc. */\nstatic struct point *at(int x,\n    int y)\n{\n    while (x) {\n    }\n}\n\nstruct point {\n    int x;\n};\n\nclass A {\n public:\n  A() {}\n};\nint A::fee() const {\n}";
    assert_eq!(titles("a.cpp", c), ["1 struct point *at", "1 struct point", "1 class A", "2 A", "1 int A::fee"]);
    let ruby = "module A\n  class B < C\n    # Doc.\n    def fee(x)\n    end\n  end\nend";
    assert_eq!(titles("a.rb", ruby), ["1 module A", "2 class B < C", "3 def fee"]);
    let shell = "#!/bin/sh\nset -e\n\n# Doc.\ngo() {\n  if [ x ]; then\n  fi\n}\nfunction other {\n}";
    assert_eq!(titles("a.sh", shell), ["1 go", "1 function other"]);
}

#[test]
fn code_without_rules_is_kept_as_it_is() {
    assert!(titles("a.toml", "[package]\nname = \"x\"").is_empty());
}
