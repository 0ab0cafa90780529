//! A reader that computes a digest of everything that passes through it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use sha2::Digest;
use tokio::io::{AsyncRead, ReadBuf};

use crate::kinds::call::HashAlgorithm;

/// Wraps a reader.
pub(super) struct Hashing<R> {
    inner: R,
    digest: Option<Running>,
}

enum Running {
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl<R> Hashing<R> {
    pub(super) fn new(inner: R, algorithm: Option<HashAlgorithm>) -> Self {
        let digest = algorithm.map(|algorithm| match algorithm {
            HashAlgorithm::Md5 => Running::Md5(md5::Md5::new()),
            HashAlgorithm::Sha1 => Running::Sha1(sha1::Sha1::new()),
            HashAlgorithm::Sha256 => Running::Sha256(sha2::Sha256::new()),
            HashAlgorithm::Sha512 => Running::Sha512(sha2::Sha512::new()),
        });
        Self { inner, digest }
    }

    /// The digest of what was read, in lower-case hexadecimal; empty when none was asked for.
    pub(super) fn finish(&mut self) -> String {
        let bytes = match self.digest.take() {
            None => Vec::new(),
            Some(Running::Md5(digest)) => digest.finalize().to_vec(),
            Some(Running::Sha1(digest)) => digest.finalize().to_vec(),
            Some(Running::Sha256(digest)) => digest.finalize().to_vec(),
            Some(Running::Sha512(digest)) => digest.finalize().to_vec(),
        };
        data_encoding::HEXLOWER.encode(&bytes)
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Hashing<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let read = &buffer.filled()[before..];
        match &mut self.digest {
            None => {}
            Some(Running::Md5(digest)) => digest.update(read),
            Some(Running::Sha1(digest)) => digest.update(read),
            Some(Running::Sha256(digest)) => digest.update(read),
            Some(Running::Sha512(digest)) => digest.update(read),
        }
        Poll::Ready(Ok(()))
    }
}
