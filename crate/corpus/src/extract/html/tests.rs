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
