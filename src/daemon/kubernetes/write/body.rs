//! The body of a request: so many bytes, so much time, and a form that is understood.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::time::timeout;

use crate::manifest::parse;
use crate::manifest::problem::Code;

use super::super::failure::Failure;
use super::super::resource::Resource;
use super::params::Validation;
use super::protobuf;

/// As much as a real API server takes.
const MOST: usize = 3 * 1024 * 1024;
/// What comes beyond that is thrown away up to here, so that the client hears why.
const DISCARDED: usize = 16 * 1024 * 1024;
/// It has to be there by then; the connection has a little longer, for the answer.
const WITHIN: Duration = Duration::from_secs(20);

/// The whole body.
///
/// # Errors
/// It is too large, or does not arrive.
pub(super) async fn read(body: Body) -> Result<Bytes, Failure> {
    let reading = async {
        let mut parts = body.into_data_stream();
        let (mut text, mut length) = (Vec::new(), 0);
        while let Some(part) = parts.next().await {
            let part = part.map_err(|error| Failure::bad_request(error.to_string()))?;
            length += part.len();
            if length > DISCARDED {
                break;
            }
            match length <= MOST {
                true => text.extend_from_slice(&part),
                false => text = Vec::new(),
            }
        }
        match length <= MOST {
            true => Ok(Bytes::from(text)),
            false => Err(Failure::too_large(MOST)),
        }
    };
    match timeout(WITHIN, reading).await {
        Ok(read) => read,
        Err(_) => Err(Failure::too_slow(WITHIN.as_secs())),
    }
}

/// The `Content-Type` without its parameters; JSON if there is none.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|it| it.to_str().ok());
    let media = value.and_then(|it| it.split(';').next()).map(str::trim);
    match media {
        None | Some("") => "application/json".to_owned(),
        Some(media) => media.to_ascii_lowercase(),
    }
}

/// An object, and warnings about how it is written.
///
/// # Errors
/// It is not understood.
pub(super) fn object(
    media: &str,
    body: &[u8],
    resource: &Resource,
    validation: Validation,
) -> Result<(Value, Vec<String>), Failure> {
    let (object, warnings) = match media {
        "application/json" => json(body, validation)?,
        "application/yaml" => (yaml(body)?, Vec::new()),
        protobuf::MEDIA => (protobuf::object(body, resource)?, Vec::new()),
        other => {
            return Err(Failure::unsupported(format!(
                "the body of the request was in an unknown format ({other}) - accepted media types \
                 include: application/json, application/yaml"
            )));
        }
    };
    match object.is_object() {
        true => Ok((object, warnings)),
        false => Err(Failure::bad_request("the body is not an object")),
    }
}

/// JSON, in which a field that is there twice is a mistake of which the last one counts.
pub(super) fn json(body: &[u8], validation: Validation) -> Result<(Value, Vec<String>), Failure> {
    let value = serde_json::from_slice(body)
        .map_err(|error| Failure::bad_request(format!("the body is not JSON: {error}")))?;
    let text = std::str::from_utf8(body).unwrap_or_default();
    let problems = parse::document("body.json", text).err().unwrap_or_default();
    let doubled = problems
        .iter()
        .filter(|it| it.code == Code::DuplicateKey)
        .map(|it| it.message.to_string());
    let doubled: Vec<String> = doubled.collect();
    match (validation, doubled.is_empty()) {
        (_, true) | (Validation::Ignore, _) => Ok((value, Vec::new())),
        (Validation::Warn, _) => Ok((value, doubled)),
        (Validation::Strict, _) => {
            let words = format!("strict decoding error: {}", doubled.join(", "));
            Err(Failure::bad_request(words))
        }
    }
}

/// YAML, which JSON is too.
pub(super) fn yaml(body: &[u8]) -> Result<Value, Failure> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Failure::bad_request("the body is not UTF-8 text"))?;
    parse::document("body", text).map_err(|problems| {
        let words = problems.iter().map(|it| match &it.origin {
            Some(place) => format!("{}:{}: {}", place.line, place.column, it.message),
            None => it.message.to_string(),
        });
        let words: Vec<String> = words.collect();
        Failure::bad_request(format!("the body is not YAML: {}", words.join("; ")))
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use serde_json::json;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_is_not_waited_for() {
        let first = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"{")) });
        let body = Body::from_stream(first.chain(stream::pending()));
        let began = tokio::time::Instant::now();
        let failure = read(body).await.unwrap_err();
        assert_eq!(failure.code(), 408);
        assert_eq!(began.elapsed(), WITHIN);
    }

    #[tokio::test]
    async fn a_body_has_so_many_bytes_and_no_more() {
        let of = |length: usize| Body::from(vec![b' '; length]);
        assert_eq!(read(of(MOST)).await.unwrap().len(), MOST);
        assert_eq!(read(of(MOST + 1)).await.unwrap_err().code(), 413);
        let part = Bytes::from(vec![b' '; 1024 * 1024]);
        let endless = stream::repeat_with(move || Ok::<_, Infallible>(part.clone()));
        let failure = read(Body::from_stream(endless)).await.unwrap_err();
        assert_eq!(failure.code(), 413);
    }

    #[test]
    fn a_field_that_is_there_twice_is_said_or_refused() {
        let body = br#"{"a": 1, "a": 2}"#;
        let (value, warnings) = json(body, Validation::Warn).unwrap();
        assert_eq!((value, warnings.len()), (json!({"a": 2}), 1));
        assert!(json(body, Validation::Ignore).unwrap().1.is_empty());
        assert_eq!(json(body, Validation::Strict).unwrap_err().code(), 400);
        assert_eq!(json(b"{", Validation::Ignore).unwrap_err().code(), 400);
        assert_eq!(yaml(b"a: [").unwrap_err().code(), 400);
        assert_eq!(yaml(b"a: 1").unwrap(), json!({"a": 1}));
    }
}
