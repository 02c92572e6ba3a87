use super::*;

fn text(source: &str) -> String {
    extract(source).text
}

#[test]
fn only_text_is_text() {
    let extracted = extract(
        "<!doctype html><title>Tide &amp; time</title><style>p{}</style><nav><a>Home</a></nav><body>\
         <h1>Tide  table</h1><script>if (a<b) '</p>'</script><p>High <b>water</b>\nis at 06:40.<noscript>x</noscript>\
         <p hidden>no<p>Low<br>water.<ul><li>one<li><p>two</p></ul><footer>© nobody</footer>",
    );
    assert_eq!(extracted.title.as_deref(), Some("Tide & time"));
    assert_eq!(extracted.text, "Tide table\n\nHigh water is at 06:40.\n\nLow\nwater.\n\n- one\n- two");
    assert_eq!(extracted.sections[0].title, "Tide table");
}

#[test]
fn a_header_counts_inside_an_article_and_not_outside() {
    let page = "<header>Site</header><article><header><h2>Post</h2></header><p>Body</p></article>";
    assert_eq!(text(page), "Post\n\nBody");
}

#[test]
fn a_header_with_the_title_is_read() {
    let pandoc = "<body><header id=title-block-header><h1 class=title>Ferry Handbook</h1><p class=author>Ada Brandt</p>\
        <p class=date>May 2021</p></header><nav id=TOC>Fares</nav><h1>Fares</h1><p>Cheap.</p>";
    assert_eq!(text(pandoc), "Ferry Handbook\n\nAda Brandt\n\nMay 2021\n\nFares\n\nCheap.");
    assert_eq!(extract(pandoc).sections[0].title, "Ferry Handbook");
    let body = "<header><nav>Home</nav><h1>The big title</h1><p>By Ann, 2020</p></header><main><p>Body text.</main>";
    assert_eq!(text(&format!("{body}<div>Terms</div>")), "The big title\n\nBy Ann, 2020\n\nBody text.");
    assert_eq!(text("<header><h1><a href=x>Tides</a></h1></header><p>They rise."), "Tides\n\nThey rise.");
    assert_eq!(text("<header><h1>Tides</h1><p>By Ann</header>"), "Tides\n\nBy Ann");
}

#[test]
fn a_header_with_the_name_of_the_site_is_not() {
    for header in [
        "<h1><a href=/>Site</a></h1><nav>Home</nav>",
        "<p>Site</p>",
        "<h1 hidden>Site</h1><p>Log in</p>",
        "<h1><img src=logo.png></h1>Log in",
        "<nav><h1>Menu</h1></nav>Log in",
    ] {
        assert_eq!(text(&format!("<header>{header}</header><p>Body")), "Body", "{header}");
    }
    assert_eq!(text("<header role=banner><h1>Site</h1></header><p>Body"), "Body");
    let linked = "<header><h1><a href=/>Site</a></h1></header><h1>Post</h1><p>Body";
    assert_eq!(text(linked), "Post\n\nBody");
    let own = "<header><h1>Site</h1><nav>Home</nav></header><article><h1>Post</h1><p>Body</article>";
    assert_eq!(text(own), "Post\n\nBody");
}

#[test]
fn main_stands_for_the_page() {
    assert_eq!(text("<div>Log in</div><main><h1>A</h1><p>Long body</main><div>Terms</div>"), "A\n\nLong body");
    assert_eq!(text("<div>All the text is out here</div><main>x</main>"), "All the text is out here\n\nx");
}

#[test]
fn a_page_that_is_all_furniture_is_read_all_the_same() {
    assert_eq!(text("<nav><p>Only this"), "Only this");
}

#[test]
fn tables_lists_and_preformatted_text_keep_their_shape() {
    assert_eq!(
        text(
            "<table><tr><th>a<th>b<tr><td>1<td><p>2</p></table><ol start=3><li>c<ul><li>d</ul></ol><pre>\nx\n\n  y\n</pre>z"
        ),
        "a | b\n1 | 2\n\n3. c\n  - d\n\nx\n\n  y\n\nz"
    );
}

#[test]
fn preformatted_lines_in_parts_keep_their_spaces() {
    assert_eq!(
        text("<pre><b>int</b> <i>add</i>() {\n  <b>return</b> 0;  \n\n}</pre><p>a<pre>b </pre> <pre> c</pre>d"),
        "int add() {\n  return 0;\n\n}\n\na\n\nb\n\n c\n\nd"
    );
}

#[test]
fn furniture_is_known_by_its_names() {
    let page =
        "<body class='sidebar'><div id=cookie-banner>Accept?</div><ol class='breadcrumb x'><li>Home</ol><p>Text.";
    assert_eq!(text(page), "Text.");
}

#[test]
fn xhtml_elements_may_close_themselves() {
    assert_eq!(
        text("<?xml version='1.0'?><html><head><title/><script src='a'/></head><body>seen</body></html>"),
        "seen"
    );
}

#[test]
fn deep_nesting_neither_overflows_nor_crawls() {
    let n = 50_000;
    let page = format!("{}deep{}", "<div><p>".repeat(n), "</b></div>".repeat(n));
    assert_eq!(text(&page), "deep");
}

#[test]
fn a_heading_of_invisible_marks_is_no_heading() {
    let extracted = extract("<p>x</p><h1>\u{200B}</h1><p>so\u{AD}ft</p>");
    assert_eq!((extracted.text.as_str(), extracted.sections.len()), ("x\n\nsoft", 0));
}

#[test]
fn a_tag_of_many_attributes_is_read_in_time() {
    let attributes: String = (0..400_000).map(|i| format!(" a{i}")).collect();
    let (words, marks) = ("a > b / c - ".repeat(4_000), "='\"/ ".repeat(40_000));
    let page = format!("one<p{attributes}>two<!--{words}{marks}--><p title=\"{words}\" lang=en>three</p>four");
    let text = text(&page);
    assert_eq!((&text[..20.min(text.len())], text.len()), ("one\n\ntwo\n\nthree\n\nfou", 21));
}
