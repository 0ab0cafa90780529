//! Images on their way to Glance.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body as WebBody, Bytes};
use futures_util::StreamExt;
use serde_json::{Value, json};
use sha2::Digest;
use stackward::cloud::upload::Sent;
use stackward::cloud::{Cloud, Options};
use stackward::kinds::call::{
    Body, Call, CallError, Compression, Hash, HashAlgorithm, Method, Service, Source, Upload,
};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;

use crate::fake::{Fake, profile_at, say};

const PUT: &str = "PUT /image/v2/images/i/file";

/// A Glance that takes what it gets.
fn glance() -> Fake {
    Fake::new(|seen, _| match seen.line().as_str() {
        PUT => Some(say(204, Value::Null)),
        "GET /image/v2/images/i" => Some(say(200, json!({"id": "i", "status": "queued"}))),
        _ => None,
    })
}

/// Bytes that compress somewhat and repeat nowhere.
fn content(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..length).map(|_| random.u8(0..64)).collect()
}

fn file(content: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    file
}

fn sha256(content: &[u8]) -> Option<Hash> {
    let value = data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(content));
    Some(Hash {
        algorithm: HashAlgorithm::Sha256,
        value,
    })
}

fn put(source: Source, decompress: Option<Compression>, hash: Option<Hash>) -> Call {
    Call::new(
        Service::Image,
        Method::Put,
        "images/{id}/file",
        "images/i/file",
    )
    .body(Body::Upload(Upload {
        source,
        decompress,
        hash,
    }))
}

fn from(file: &NamedTempFile) -> Source {
    Source::File(file.path().to_owned())
}

async fn compressed(compression: Compression, content: &[u8]) -> Vec<u8> {
    use async_compression::tokio::write::{BzEncoder, GzipEncoder, XzEncoder};
    macro_rules! through {
        ($encoder:ident) => {{
            let mut encoder = $encoder::new(Vec::new());
            encoder.write_all(content).await.unwrap();
            encoder.shutdown().await.unwrap();
            encoder.into_inner()
        }};
    }
    match compression {
        Compression::Gz => through!(GzipEncoder),
        Compression::Xz => through!(XzEncoder),
        Compression::Bz2 => through!(BzEncoder),
    }
}

/// Serves bytes at any path; `cut` leaves the line after so many.
async fn web(content: Vec<u8>, sized: bool, cut: Option<usize>) -> String {
    let router = axum::Router::new().fallback(move || {
        let content = content.clone();
        async move {
            let length = content.len();
            let chunks: Vec<Result<Bytes, std::io::Error>> = content[..cut.unwrap_or(length)]
                .chunks(10_000)
                .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
                .collect();
            let chunks = futures_util::stream::iter(chunks);
            // What was sent before must be on its way when the line is cut.
            let end = futures_util::stream::once(async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Err(std::io::Error::other("cut"))
            });
            let end = end.take(usize::from(cut.is_some()));
            let mut response = http::Response::builder();
            if sized {
                response = response.header("content-length", length);
            }
            response
                .body(WebBody::from_stream(chunks.chain(end)))
                .unwrap()
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "http://{}/image.img?signature=sesame",
        listener.local_addr().unwrap()
    );
    drop(tokio::spawn(async move {
        axum::serve(listener, router).await.unwrap()
    }));
    url
}

#[tokio::test]
async fn a_file_arrives_whole_with_its_length_after_a_look_at_the_image() {
    for length in [0, 1, 1_000_000, (256 << 10) * 3] {
        let (fake, content) = (glance(), content(length));
        let file = file(&content);
        let told = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&told);
        let progress = Arc::new(move |sent| note.lock().unwrap().push(sent));
        let call = put(from(&file), None, sha256(&content));
        let reply = fake.cloud("").send(&call, Some(progress)).await.unwrap();
        assert_eq!(reply.status, 204);
        let seen = fake.asked(PUT).pop().unwrap();
        assert_eq!(seen.body.as_ref().unwrap(), &content);
        assert_eq!(seen.header("content-length"), length.to_string());
        assert_eq!(seen.header("content-type"), "application/octet-stream");
        let whole = Sent {
            bytes: length as u64,
            length: Some(length as u64),
        };
        let last = told.lock().unwrap().last().copied();
        assert_eq!(last, (length > 0).then_some(whole));
        let lines: Vec<String> = fake.seen().iter().map(crate::fake::Seen::line).collect();
        assert_eq!(lines[lines.len() - 2..], ["GET /image/v2/images/i", PUT]);
    }
}

#[tokio::test]
async fn over_a_socket_the_length_is_sent_when_it_is_known_and_chunks_when_not() {
    let (fake, content) = (glance(), content(700_000));
    let url = fake.listen().await;
    let more = format!("    auth_type: none\n    image_endpoint_override: {url}/image/v2\n");
    let cloud = Cloud::new(profile_at(&url, &more), Options::default()).unwrap();
    let plain = file(&content);
    let _ = cloud
        .send(&put(from(&plain), None, None), None)
        .await
        .unwrap();
    let packed = file(&compressed(Compression::Gz, &content).await);
    let _ = cloud
        .send(&put(from(&packed), Some(Compression::Gz), None), None)
        .await
        .unwrap();
    let seen = fake.asked(PUT);
    assert_eq!(
        (
            seen[0].header("content-length"),
            seen[0].header("transfer-encoding")
        ),
        ("700000", "")
    );
    assert_eq!(
        (
            seen[1].header("content-length"),
            seen[1].header("transfer-encoding")
        ),
        ("", "chunked")
    );
    assert!(
        seen.iter()
            .all(|seen| seen.body.as_ref().unwrap() == &content)
    );
}

#[tokio::test]
async fn over_a_socket_a_wrong_digest_ends_the_body_before_its_announced_length() {
    let (fake, content) = (glance(), content(700_000));
    let url = fake.listen().await;
    let more = format!("    auth_type: none\n    image_endpoint_override: {url}/image/v2\n");
    let cloud = Cloud::new(profile_at(&url, &more), Options::default()).unwrap();
    let packed = file(&compressed(Compression::Gz, &content).await);
    let plain = file(&content);
    for (file, compression) in [(&plain, None), (&packed, Some(Compression::Gz))] {
        let call = put(from(file), compression, sha256(b"something else"));
        let error = cloud.send(&call, None).await.unwrap_err();
        assert!(error.to_string().contains("was expected"), "{error}");
    }
    // The server learns of the broken connections in its own time.
    while fake.asked(PUT).len() < 2 {
        tokio::task::yield_now().await;
    }
    let cut = fake
        .asked(PUT)
        .iter()
        .filter(|seen| seen.body.is_err())
        .count();
    assert_eq!(cut, 2, "Glance has a complete image");
}

#[tokio::test]
async fn compressed_sources_are_unpacked_on_the_way_and_hashed_as_they_come() {
    for compression in [Compression::Gz, Compression::Xz, Compression::Bz2] {
        let (fake, content) = (glance(), content(600_000));
        // Two members, as parallel compressors write them.
        let mut packed = compressed(compression, &content[..250_000]).await;
        packed.extend(compressed(compression, &content[250_000..]).await);
        let file = file(&packed);
        let call = put(from(&file), Some(compression), sha256(&packed));
        assert_eq!(fake.cloud("").send(&call, None).await.unwrap().status, 204);
        assert_eq!(
            fake.asked(PUT)[0].body.as_ref().unwrap(),
            &content,
            "{compression:?}"
        );
        let broken = self::file(&packed[..packed.len() - 20]);
        let call = put(from(&broken), Some(compression), None);
        let error = fake.cloud("").send(&call, None).await.unwrap_err();
        assert!(
            matches!(error, CallError::NotSent { .. }),
            "{compression:?} {error:?}"
        );
        assert!(
            fake.asked(PUT)[1].body.is_err(),
            "{compression:?}: Glance has a cut image"
        );
    }
}

#[tokio::test]
async fn every_digest_is_checked_and_a_wrong_one_never_reaches_the_end() {
    let content = b"an image, or what passes for one";
    for (algorithm, value) in [
        (
            HashAlgorithm::Md5,
            data_encoding::HEXLOWER.encode(&md5::Md5::digest(content)),
        ),
        (
            HashAlgorithm::Sha1,
            data_encoding::HEXLOWER.encode(&sha1::Sha1::digest(content)),
        ),
        (
            HashAlgorithm::Sha256,
            data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(content)),
        ),
        (
            HashAlgorithm::Sha512,
            data_encoding::HEXUPPER.encode(&sha2::Sha512::digest(content)),
        ),
    ] {
        let fake = glance();
        let file = file(content);
        let right = put(
            from(&file),
            None,
            Some(Hash {
                algorithm,
                value: value.clone(),
            }),
        );
        assert_eq!(
            fake.cloud("").send(&right, None).await.unwrap().status,
            204,
            "{algorithm:?}"
        );
        let wrong = Hash {
            algorithm,
            value: "0".repeat(value.len()),
        };
        let error = fake
            .cloud("")
            .send(&put(from(&file), None, Some(wrong)), None)
            .await
            .unwrap_err();
        let CallError::NotSent { message, .. } = &error else {
            panic!("{error:?}")
        };
        assert!(
            message.to_lowercase().contains(&value.to_lowercase()),
            "{message}"
        );
        let bodies: Vec<bool> = fake
            .asked(PUT)
            .iter()
            .map(|seen| seen.body.is_ok())
            .collect();
        assert_eq!(
            bodies,
            [true, false],
            "{algorithm:?}: Glance has a complete image"
        );
    }
}

#[tokio::test]
async fn an_address_is_fetched_without_any_credentials_and_its_query_is_not_shown() {
    let content = content(300_000);
    for sized in [true, false] {
        let fake = glance();
        let url = web(content.clone(), sized, None).await;
        let call = put(Source::Url(url), None, sha256(&content));
        let _ = fake.cloud("").send(&call, None).await.unwrap();
        let seen = &fake.asked(PUT)[0];
        assert_eq!(seen.body.as_ref().unwrap(), &content);
        assert_eq!(
            seen.header("content-length"),
            if sized { "300000" } else { "" }
        );
    }
    let cut = web(content.clone(), true, Some(50_000)).await;
    let fake = glance();
    let error = fake
        .cloud("")
        .send(&put(Source::Url(cut), None, None), None)
        .await
        .unwrap_err();
    let CallError::NotSent { message, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(
        message.contains("cannot be read to its end") && !message.contains("sesame"),
        "{message}"
    );
    assert!(fake.asked(PUT)[0].body.is_err());
}

#[tokio::test]
async fn redirects_of_a_source_are_followed_to_web_addresses_only() {
    let target = web(b"image".to_vec(), true, None).await;
    for (location, works) in [
        (target, true),
        ("file:///etc/passwd".to_owned(), false),
        ("http://169.254.169.254/latest/meta-data".to_owned(), false),
        ("http://[fe80::1]/".to_owned(), false),
        ("/again".to_owned(), false),
    ] {
        let source = Fake::new({
            let location = location.clone();
            move |_, _| Some(say(302, Value::Null).with("location", location.clone()))
        });
        let (fake, url) = (glance(), source.listen().await);
        let outcome = fake
            .cloud("")
            .send(&put(Source::Url(url), None, None), None)
            .await;
        assert_eq!(outcome.is_ok(), works, "{location}: {outcome:?}");
        assert_eq!(fake.asked(PUT).len(), usize::from(works), "{location}");
        assert!(
            source
                .seen()
                .iter()
                .all(|seen| seen.header("x-auth-token").is_empty())
        );
    }
}

#[tokio::test]
async fn what_is_no_regular_file_or_not_there_is_refused_before_anything_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    let made = std::process::Command::new("mkfifo")
        .arg(&fifo)
        .status()
        .unwrap();
    assert!(made.success());
    let missing = directory.path().join("missing.img");
    for (path, words) in [
        (fifo, "no regular file"),
        (directory.path().to_owned(), "no regular file"),
        (missing, "missing.img cannot be uploaded"),
        ("/dev/zero".into(), "no regular file"),
    ] {
        let fake = glance();
        let call = put(Source::File(path), None, None);
        let error = fake.cloud("").send(&call, None).await.unwrap_err();
        assert!(matches!(error, CallError::NotSent { .. }), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(fake.seen().len(), 0);
    }
}

#[tokio::test]
async fn an_image_that_is_gone_is_told_before_its_bytes_are_sent() {
    let fake = Fake::new(|seen, _| {
        (seen.path == "/image/v2/images/i").then(|| say(404, json!({"message": "No image found"})))
    });
    let file = file(b"x");
    let error = fake
        .cloud("")
        .send(&put(from(&file), None, None), None)
        .await
        .unwrap_err();
    assert!(error.is_not_found(), "{error:?}");
    assert_eq!(fake.asked(PUT).len(), 0);
}

/// A Glance that reads `reads` pieces of the body and then does nothing.
fn stuck(reads: usize) -> Options {
    let ordinary = glance().service();
    let service = tower::service_fn(move |request: http::Request<WebBody>| {
        let ordinary = ordinary.clone();
        async move {
            if request.method() == "PUT" {
                let mut body = request.into_body().into_data_stream();
                for _ in 0..reads {
                    let _ = body.next().await;
                }
                std::future::pending::<()>().await;
                unreachable!();
            }
            tower::ServiceExt::oneshot(ordinary, request).await
        }
    });
    let in_process = Some(tower::util::BoxCloneSyncService::new(service));
    Options {
        in_process,
        ..Options::default()
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_stalls_is_ended_and_one_that_is_being_stored_is_waited_for() {
    let file = file(&content(2_000_000));
    for (reads, seconds) in [(0, 60), (2, 60), (1000, 600)] {
        let cloud = Cloud::new(crate::fake::profile(""), stuck(reads)).unwrap();
        let _ = cloud.endpoint(Service::Image).await.unwrap();
        let started = tokio::time::Instant::now();
        let error = cloud
            .send(&put(from(&file), None, None), None)
            .await
            .unwrap_err();
        assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
        assert!(error.to_string().contains("made no progress"), "{error}");
        // File reads are real time, in which the paused clock may run ahead by a little.
        let elapsed = started.elapsed();
        assert!(
            elapsed >= Duration::from_secs(seconds),
            "{reads}: {elapsed:?}"
        );
        assert!(
            elapsed < Duration::from_secs(seconds * 2),
            "{reads}: {elapsed:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_past_half_of_its_life_is_renewed_before_an_upload() {
    let fake = glance();
    let cloud = fake.cloud("");
    let file = file(b"x");
    let _ = cloud.scope().await.unwrap();
    tokio::time::advance(Duration::from_secs(1700)).await;
    let _ = cloud
        .send(&put(from(&file), None, None), None)
        .await
        .unwrap();
    assert_eq!(fake.logins(), 1);
    tokio::time::advance(Duration::from_secs(200)).await;
    let _ = cloud
        .send(&put(from(&file), None, None), None)
        .await
        .unwrap();
    assert_eq!(fake.logins(), 2);
    assert_eq!(
        fake.asked(PUT)[1].header("x-auth-token"),
        fake.newest_token()
    );
}

#[tokio::test]
async fn memory_does_not_grow_with_the_image() {
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/statm").unwrap();
        status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }
    // A sparse file, read by a service that throws away what it gets.
    let file = NamedTempFile::new().unwrap();
    file.as_file().set_len(192 << 20).unwrap();
    let ordinary = glance().service();
    let most = Arc::new(Mutex::new((0_u64, 0_usize)));
    let noted = Arc::clone(&most);
    let service = tower::service_fn(move |request: http::Request<WebBody>| {
        let (ordinary, noted) = (ordinary.clone(), Arc::clone(&noted));
        async move {
            if request.method() != "PUT" {
                return tower::ServiceExt::oneshot(ordinary, request).await;
            }
            let mut body = request.into_body().into_data_stream();
            while let Some(piece) = body.next().await {
                let mut noted = noted.lock().unwrap();
                noted.0 += piece.unwrap().len() as u64;
                noted.1 = noted.1.max(resident());
            }
            Ok(http::Response::builder()
                .status(204)
                .body(WebBody::empty())
                .unwrap())
        }
    });
    let in_process = Some(tower::util::BoxCloneSyncService::new(service));
    let options = Options {
        in_process,
        ..Options::default()
    };
    let cloud = Cloud::new(crate::fake::profile(""), options).unwrap();
    let before = resident();
    let _ = cloud
        .send(&put(from(&file), None, None), None)
        .await
        .unwrap();
    let (bytes, most) = *most.lock().unwrap();
    assert_eq!(bytes, 192 << 20);
    // Other tests run beside this one; a copy of the image would be many times as much.
    assert!(
        most.saturating_sub(before) < 64 << 20,
        "{} MiB more",
        (most - before) >> 20
    );
}
