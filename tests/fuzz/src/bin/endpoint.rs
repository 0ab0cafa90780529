//! The HTTP endpoint: whatever bytes arrive, it answers or hangs up, and goes on serving.

#![no_main]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use stackward::daemon::Picture;
use stackward::daemon::clock::Heartbeat;
use stackward::daemon::door::Door;
use stackward::daemon::kubernetes::Kubernetes;
use stackward::daemon::metrics::Metrics;
use stackward::daemon::serve::{Shown, bind, serve};
use tokio_util::sync::CancellationToken;

static ADDRESS: LazyLock<SocketAddr> = LazyLock::new(|| {
    let (told, tells) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let (listener, address) = bind(([127, 0, 0, 1], 0).into()).await.expect("a port");
            // Manifests were read, so that lists and watches are answered: there is nothing in them.
            let picture = Picture {
                loaded: true,
                ..Picture::default()
            };
            let (pictures, shown) = tokio::sync::watch::channel(picture);
            let (stop, kubernetes) = (CancellationToken::new(), Kubernetes::new(None));
            tokio::spawn(kubernetes.clone().follow(shown.clone(), stop.clone()));
            let shown = Shown {
                pictures: shown,
                heartbeat: Heartbeat::new(),
                metrics: Arc::new(Metrics::new().expect("metrics")),
                kubernetes,
            };
            told.send(address).expect("somebody who listens");
            serve(vec![listener], shown, Door::open(), stop).await;
            drop(pictures);
        });
    });
    tells.recv().expect("an address")
});

/// What comes back. With nothing more to say the line is half closed, upon which the server may hang up at once.
fn ask(bytes: &[u8], is_all: bool) -> Vec<u8> {
    let mut stream = TcpStream::connect(*ADDRESS).expect("a connection");
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a timeout");
    // It may have hung up already.
    let _: Result<_, _> = stream.write_all(bytes);
    if is_all {
        let _: Result<_, _> = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    let _: Result<_, _> = stream.read_to_end(&mut answer);
    answer
}

fuzz_target!(|data: &[u8]| {
    let answer = ask(data, true);
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1."),
        "{answer:?}"
    );
    if data.len() % 64 == 0 {
        let healthy = ask(
            b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            false,
        );
        assert!(healthy.starts_with(b"HTTP/1.1 200"), "{healthy:?}");
    }
});
