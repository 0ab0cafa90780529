//! The status page, as a browser without scripts gets it from the real program. `tests/page/run`
//! looks at it in a real browser.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod site;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use site::{Daemon, PATIENCE, Site, cloud, get, with};
use stackward::sandbox::Running;

fn start(site: &Site, cloud: &Running) -> (Daemon, String) {
    site.clouds(&cloud.clouds_yaml());
    let brisk = ["--listen", "127.0.0.1:0", "--poll-interval", "1s"];
    let daemon = Daemon::start(site.command(&with(&brisk)));
    let line = daemon.line_with("metrics:   http://");
    let address = line.split("http://").nth(1).unwrap();
    let address = address.split('/').next().unwrap().to_owned();
    let _: String = daemon.line_with("Available.");
    (daemon, address)
}

/// The page, as soon as this is on it.
fn page_with(address: &str, path: &str, text: &str) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let page = get(address, path);
        if page.contains(text) {
            return page;
        }
        assert!(Instant::now() < end, "no {text} in {page}");
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_listed_with_their_state_and_lead_to_pages_of_their_own() {
    let cloud = cloud().await;
    let site = Site::new(&[("data", 1), ("logs", 1)]);
    let (_daemon, address) = start(&site, &cloud);
    let page = page_with(&address, "/", "<span class=\"state ok\">Available</span>");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(
        page.contains("content-security-policy: default-src 'none'"),
        "{page}"
    );
    assert!(
        page.contains("<a href=\"&#x2f;objects&#x2f;Volume&#x2f;default&#x2f;data\">data</a>"),
        "{page}"
    );
    assert!(page.contains("<b>2</b> All"), "{page}");

    let few = get(&address, "/?name=LOG");
    assert!(
        few.contains(">logs</a>") && !few.contains(">data</a>"),
        "{few}"
    );
    let none = get(&address, "/?state=Blocked");
    assert!(none.contains("No object is like that."), "{none}");

    let object = get(&address, "/objects/Volume/default/data");
    assert!(
        object.contains("Nothing that the manifest sets differs."),
        "{object}"
    );
    assert!(
        object.contains("manifests/data.yaml") || object.contains("data.yaml:1:1"),
        "{object}"
    );
    assert!(object.contains("Available True"), "{object}");
    let missing = get(&address, "/objects/Volume/default/no-such");
    assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_shown_with_what_becomes_of_it() {
    let cloud = cloud().await;
    let site = Site::new(&[("data", 2)]);
    let (_daemon, address) = start(&site, &cloud);
    site.volume("data", 1);
    let _: String = page_with(&address, "/", "<span class=\"state bad\">Blocked</span>");
    let page = page_with(
        &address,
        "/objects/Volume/default/data",
        "Desired and observed",
    );
    assert!(
        page.contains("<th scope=\"row\">size</th><td><code>1</code></td><td><code>2</code></td>"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_file_says_is_text_and_no_markup() {
    let cloud = cloud().await;
    let site = Site::new(&[("data", 1)]);
    let (_daemon, address) = start(&site, &cloud);
    let bad = "apiVersion: stackward.dev/v1alpha1\nkind: Volume\nmetadata: {name: bad}\nspec:\n  resource:\n    \
               size: 1\n    \"<script>alert(1)</script>\": 1\n";
    fs::write(site.manifests().join("bad.yaml"), bad).unwrap();
    let page = page_with(&address, "/", "Problems of manifests");
    assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
    assert!(!page.contains("<script>alert"), "{page}");
    let filtered = get(&address, "/?name=%22%3E%3Cscript%3Ealert(2)");
    assert!(!filtered.contains("<script>alert(2)"), "{filtered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_told_to_those_who_wait_for_it() {
    let cloud = cloud().await;
    let site = Site::new(&[("data", 1)]);
    let (_daemon, address) = start(&site, &cloud);
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /changes HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.any(|it| it.starts_with("retry:")));
    site.volume("more", 1);
    assert!(lines.any(|it| it == "data: changed"));
}
