//! A file server for the finished site, for this machine alone.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use anyhow::{Result, anyhow};
use percent_encoding::percent_decode_str;
use tiny_http::{Header, Method, Request, Response, Server};

/// Downloads of models must not hold up the page's other files.
const N_THREADS: usize = 4;

/// Takes the port; before anything is built, so that a taken one is said at once.
///
/// # Errors
/// When the port is taken.
pub fn listen(port: u16) -> Result<Server> {
    Server::http(("127.0.0.1", port))
        .map_err(|error| anyhow!("port {port} cannot be used ({error}): try --port {}", port.wrapping_add(1)))
}

/// Serves `folder` until the process ends.
pub fn serve(folder: &Path, server: &Server, port: u16) {
    println!("\nLectern is at http://localhost:{port} (Ctrl-C stops it)");
    answer_all(folder, server);
}

/// Answers requests until the server is unblocked.
fn answer_all(folder: &Path, server: &Server) {
    std::thread::scope(|scope| {
        for _ in 0..N_THREADS {
            scope.spawn(|| {
                for request in server.incoming_requests() {
                    // A client that went away is its own business.
                    let _ = answer(folder, request);
                }
            });
        }
    });
}

fn answer(folder: &Path, request: Request) -> std::io::Result<()> {
    if !matches!(request.method(), Method::Get | Method::Head) {
        return request.respond(Response::empty(405));
    }
    let found = resolve(folder, request.url()).and_then(|path| Some((File::open(&path).ok()?, path)));
    match found {
        Some((mut file, path)) => {
            let len = file.metadata()?.len();
            let range = request.headers().iter().find(|header| header.field.equiv("Range"));
            let part = range.and_then(|range| part_of(range.value.as_str(), len));
            let Range { start, end } = part.clone().unwrap_or(0..len);
            file.seek(SeekFrom::Start(start))?;
            let mut headers = vec![
                header("Content-Type", content_type(&path)),
                header("Cache-Control", cache_control(&path)),
                header("Accept-Ranges", "bytes"),
            ];
            if part.is_some() {
                headers.push(header("Content-Range", &format!("bytes {start}-{}/{len}", end - 1)));
            }
            let status = if part.is_some() { 206 } else { 200 };
            let body = file.take(end - start);
            request.respond(Response::new(status.into(), headers, body, Some((end - start) as usize), None))
        }
        None => request.respond(Response::from_string("There is no such file here.\n").with_status_code(404)),
    }
}

/// What `bytes=FIRST-` or `bytes=FIRST-LAST` asks for, as a page does of what it lacks of a model. Other ranges are
/// answered with the whole file, as they may be.
fn part_of(range: &str, len: u64) -> Option<Range<u64>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let first = first.parse().ok()?;
    let end = if last.is_empty() { len } else { last.parse::<u64>().ok()?.saturating_add(1).min(len) };
    (first < end).then_some(first..end)
}

/// The file a request path means, or nothing when there is none inside `folder`.
fn resolve(folder: &Path, url: &str) -> Option<PathBuf> {
    let path = url.split(['?', '#']).next()?.trim_start_matches('/');
    let path = PathBuf::from(percent_decode_str(path).decode_utf8().ok()?.into_owned());
    if !path.components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    let mut file = folder.join(path);
    if file.is_dir() {
        file.push("index.html");
    }
    file.is_file().then_some(file)
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("md" | "txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Names that hold a hash of their content may be kept for good; the rest is asked for anew.
fn cache_control(path: &Path) -> &'static str {
    if path.parent().is_some_and(|folder| folder.ends_with("assets")) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    }
}

fn header(name: &str, value: &str) -> Header {
    Header::from_bytes(name, value).expect("names and values of this file are ASCII")
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn paths_stay_inside_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("site");
        std::fs::create_dir_all(site.join("sub")).unwrap();
        for file in ["secret", "site/index.html", "site/sub/index.html", "site/a b.js"] {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        let found = |url| resolve(&site, url).map(|path| path.strip_prefix(&site).unwrap().to_path_buf());
        assert_eq!(found("/"), Some("index.html".into()));
        assert_eq!(found("/sub/?q=1"), Some("sub/index.html".into()));
        assert_eq!(found("/a%20b.js#x"), Some("a b.js".into()));
        assert_eq!(found("/../secret"), None);
        assert_eq!(found("/%2e%2e/secret"), None);
        assert_eq!(found("//../secret"), None);
        assert_eq!(found("/missing.js"), None);
    }

    #[test]
    fn files_are_served_and_the_rest_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("engine.wasm"), b"\0asm\n").unwrap();
        let server = Server::http("127.0.0.1:0").unwrap();
        let address = server.server_addr().to_ip().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| answer_all(folder.path(), &server));
            let ask_with = |line: &str, more: &str| {
                let mut stream = TcpStream::connect(address).unwrap();
                write!(stream, "{line} HTTP/1.1\r\nHost: localhost\r\n{more}Connection: close\r\n\r\n").unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                answer
            };
            let ask = |line: &str| ask_with(line, "");
            let rest = ask_with("GET /engine.wasm", "Range: bytes=3-\r\n");
            assert!(rest.starts_with("HTTP/1.1 206") && rest.ends_with("\r\n\r\nm\n"), "{rest}");
            assert!(rest.contains("Content-Range: bytes 3-4/5"), "{rest}");
            let part = ask_with("GET /engine.wasm", "Range: bytes=1-3\r\n");
            assert!(part.starts_with("HTTP/1.1 206") && part.ends_with("\r\n\r\nasm"), "{part}");
            assert!(part.contains("Content-Range: bytes 1-3/5") && part.contains("Content-Length: 3"), "{part}");
            for range in ["9-", "-2", "3-1", "0-1,3-4"] {
                let whole = ask_with("GET /engine.wasm", &format!("Range: bytes={range}\r\n"));
                assert!(whole.starts_with("HTTP/1.1 200"), "{range}: {whole}");
            }
            let found = ask("GET /engine.wasm?v=1");
            assert!(found.starts_with("HTTP/1.1 200") && found.ends_with("\r\n\r\n\0asm\n"), "{found}");
            assert!(found.contains("Content-Type: application/wasm") && found.contains("Content-Length: 5"), "{found}");
            assert!(ask("GET /../secret").starts_with("HTTP/1.1 404"));
            assert!(ask("POST /engine.wasm").starts_with("HTTP/1.1 405"));
            for _ in 0..N_THREADS {
                server.unblock();
            }
        });
    }

    #[test]
    fn browsers_get_the_types_they_insist_on() {
        assert_eq!(content_type(Path::new("worker/x.wasm")), "application/wasm");
        assert_eq!(content_type(Path::new("widget.js")), "text/javascript; charset=utf-8");
        assert_eq!(cache_control(Path::new("index.html")), "no-cache");
    }
}
