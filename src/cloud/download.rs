//! Fetching an image from an address that a manifest names: no credentials of any cloud, only http and
//! https, and never from link-local addresses, where clouds keep their secrets.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio_util::io::StreamReader;

use super::profile::{Profile, Tls};
use super::transport::{self, Failure, Transport};
use super::upload::Input;
use super::wire::place;
use super::{fault, tls};
use crate::kinds::call::CallError;

/// An answer that has begun.
pub(super) struct Opened {
    pub(super) input: Input,
    pub(super) length: Option<u64>,
    pub(super) name: String,
}

/// How many redirects are followed: mirrors and object stores use a few.
const REDIRECTS: usize = 10;

/// Starts to fetch an address.
pub(super) async fn open(address: &str, profile: &Profile) -> Result<Opened, CallError> {
    let unusable = |message: String, hint: Option<String>| CallError::NotSent { message, hint };
    let mut url = Url::parse(address)
        .map_err(|error| unusable(format!("the image's source is no address: {error}"), None))?;
    let client =
        client(profile).map_err(|why| unusable(format!("no client for downloads: {why}"), None))?;
    for _ in 0..=REDIRECTS {
        allowed(&url).map_err(|why| unusable(format!("{}: {why}", place(&url)), None))?;
        let response = client.get(url.clone()).send().await.map_err(|error| {
            let (reason, hint) = match transport::failed(&error, None) {
                Failure::NotSent { reason, hint } => (reason, hint),
                Failure::Lost { reason, .. } => (reason, None),
            };
            let reason = fault::tidy(&reason);
            unusable(format!("{} cannot be fetched: {reason}", place(&url)), hint)
        })?;
        let status = response.status();
        if status.is_redirection() {
            let target = response.headers().get(http::header::LOCATION);
            let next = target.and_then(|target| url.join(target.to_str().ok()?).ok());
            let Some(next) = next else {
                return Err(unusable(
                    format!("{} redirects to nowhere", place(&url)),
                    None,
                ));
            };
            if url.scheme() == "https" && next.scheme() == "http" {
                let message = format!("{} redirects from https to http", place(&url));
                return Err(unusable(
                    message,
                    Some("use the other address itself".to_owned()),
                ));
            }
            url = next;
            continue;
        }
        if status != http::StatusCode::OK {
            return Err(unusable(format!("{} answered {status}", place(&url)), None));
        }
        let length = response.content_length();
        let chunks = response
            .bytes_stream()
            .map_err(|error| std::io::Error::other(fault::tidy(&transport::describe(&error))));
        let input: Input = Box::new(StreamReader::new(chunks.boxed()));
        return Ok(Opened {
            input,
            length,
            name: place(&url),
        });
    }
    Err(unusable(
        format!("{} redirects too often", place(&url)),
        None,
    ))
}

/// Trusts what the system trusts; a cloud's own `cacert`, client certificate and `insecure` are for the
/// cloud only.
fn client(profile: &Profile) -> Result<reqwest::Client, String> {
    let builder = transport::plain_builder(tls::client_config(&Tls::default())?);
    Transport::with_proxies(builder, &profile.proxies)?
        // What is hashed and sent on is what is stored there.
        .gzip(false)
        .dns_resolver(Arc::new(NoLinkLocal))
        .build()
        .map_err(|error| transport::describe(&error))
}

fn allowed(url: &Url) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http and https are fetched".to_owned());
    }
    let host = url.host_str().unwrap_or_default();
    let literal = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    match literal {
        Ok(ip) if is_link_local(ip) => Err(REFUSED.to_owned()),
        _ => Ok(()),
    }
}

const REFUSED: &str = "link-local addresses are not fetched from";

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => {
            ip.is_unicast_link_local()
                || ip.to_ipv4_mapped().is_some_and(|mapped| mapped.is_link_local())
                // The metadata service of some clouds on IPv6.
                || ip.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
        }
    }
}

/// The system's name resolution, without the answers that point at link-local addresses.
struct NoLinkLocal;

impl Resolve for NoLinkLocal {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let kept: Vec<SocketAddr> = found
                .iter()
                .copied()
                .filter(|found| !is_link_local(found.ip()))
                .collect();
            if kept.is_empty() && !found.is_empty() {
                return Err(REFUSED.into());
            }
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_outside_of_link_local_are_allowed() {
        for good in [
            "http://images.example/x.img",
            "https://192.0.2.7/x",
            "http://127.0.0.1:1/x",
        ] {
            assert_eq!(allowed(&Url::parse(good).unwrap()), Ok(()), "{good}");
        }
        for bad in [
            "file:///etc/shadow",
            "ftp://images.example/x",
            "http://169.254.169.254/latest/meta-data",
            "http://2852039166/latest",
            "http://[fe80::1]/x",
            "http://[::ffff:169.254.169.254]/x",
            "http://[fd00:ec2::254]/x",
        ] {
            assert!(allowed(&Url::parse(bad).unwrap()).is_err(), "{bad}");
        }
    }
}
