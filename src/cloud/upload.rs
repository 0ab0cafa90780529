//! The bytes of an image on their way from a file or an address to Glance: decompressed, counted,
//! hashed and watched, and never whole in memory.
//!
//! The last piece is held back until the digest was compared, so that Glance never has a complete
//! image that is not the one that was asked for.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_compression::tokio::bufread::{BzDecoder, GzipDecoder, XzDecoder};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};
use tokio::time::Instant;

use super::download;
use super::fault;
use super::hashing::Hashing;
use super::profile::Profile;
use super::transport::ByteStream;
use crate::kinds::call::{CallError, Compression, Hash, Source, Upload};

/// Is called with how far an upload is, with each piece that is handed over.
pub type Progress = Arc<dyn Fn(Sent) + Send + Sync>;

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Bytes handed over so far.
    pub bytes: u64,
    /// Bytes in all, when that is known beforehand.
    pub length: Option<u64>,
}

/// Bytes of one piece.
const PIECE: usize = 256 << 10;

/// How long Glance may take after the last byte, to store what it has: its backend may be slow.
const AFTERWARDS: Duration = Duration::from_secs(600);

pub(super) type Input = Box<dyn AsyncRead + Send + Unpin>;

/// A source that has been opened.
pub(super) struct Opened {
    reader: Reader,
    /// Bytes that will go out, when that is known beforehand.
    length: Option<u64>,
    hash: Option<Hash>,
    name: String,
}

/// Opens the source of an upload.
pub(super) async fn open(upload: &Upload, profile: &Profile) -> Result<Opened, CallError> {
    let (input, length, name) = match &upload.source {
        Source::File(path) => {
            let (file, length) = open_file(path).await?;
            (file, Some(length), path.display().to_string())
        }
        Source::Url(url) => {
            let opened = download::open(url, profile).await?;
            (opened.input, opened.length, opened.name)
        }
    };
    let algorithm = upload.hash.as_ref().map(|hash| hash.algorithm);
    let source = BufReader::with_capacity(PIECE, Hashing::new(input, algorithm));
    let reader = match upload.decompress {
        None => Reader::Plain(source),
        Some(compression) => Reader::decoding(compression, source),
    };
    let length = length.filter(|_| upload.decompress.is_none());
    Ok(Opened {
        reader,
        length,
        hash: upload.hash.clone(),
        name,
    })
}

async fn open_file(path: &Path) -> Result<(Input, u64), CallError> {
    let unusable = |why: String| CallError::NotSent {
        message: format!("{} cannot be uploaded: {why}", path.display()),
        hint: None,
    };
    // Without O_NONBLOCK the open of a FIFO waits for somebody to write into it.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = tokio::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .await
        .map_err(|error| unusable(error.to_string()))?;
    let metadata = file
        .metadata()
        .await
        .map_err(|error| unusable(error.to_string()))?;
    if !metadata.is_file() {
        return Err(unusable("it is no regular file".to_owned()));
    }
    Ok((Box::new(file), metadata.len()))
}

type Hashed = BufReader<Hashing<Input>>;

enum Reader {
    Plain(Hashed),
    Gz(GzipDecoder<Hashed>),
    Xz(XzDecoder<Hashed>),
    Bz2(BzDecoder<Hashed>),
}

impl Reader {
    fn decoding(compression: Compression, source: Hashed) -> Self {
        // Tools that compress in parallel write several members.
        match compression {
            Compression::Gz => {
                let mut decoder = GzipDecoder::new(source);
                decoder.multiple_members(true);
                Self::Gz(decoder)
            }
            Compression::Xz => {
                let mut decoder = XzDecoder::new(source);
                decoder.multiple_members(true);
                Self::Xz(decoder)
            }
            Compression::Bz2 => {
                let mut decoder = BzDecoder::new(source);
                decoder.multiple_members(true);
                Self::Bz2(decoder)
            }
        }
    }

    async fn read(&mut self, piece: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read_buf(piece).await,
            Self::Gz(reader) => reader.read_buf(piece).await,
            Self::Xz(reader) => reader.read_buf(piece).await,
            Self::Bz2(reader) => reader.read_buf(piece).await,
        }
    }

    fn source(&mut self) -> &mut Hashed {
        match self {
            Self::Plain(reader) => reader,
            Self::Gz(reader) => reader.get_mut(),
            Self::Xz(reader) => reader.get_mut(),
            Self::Bz2(reader) => reader.get_mut(),
        }
    }
}

/// What the stream and its watch know of each other.
struct State {
    started: Instant,
    /// Milliseconds from `started` to the last piece.
    last: AtomicU64,
    /// The stream waits for its source, not for Glance.
    reading: AtomicBool,
    finished: AtomicBool,
    error: Mutex<Option<CallError>>,
}

impl State {
    fn touch(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(elapsed, Ordering::Relaxed);
    }

    /// Notes why the stream ends early; the error that goes into the stream is for the transport only.
    fn abort(&self, error: CallError) -> io::Error {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        io::Error::other("the upload was aborted")
    }
}

/// Says when an upload has stalled, and why its stream ended early.
pub(super) struct Watch {
    state: Arc<State>,
    stall: Duration,
    name: String,
}

impl Watch {
    /// Ends when the upload makes no progress any more.
    pub(super) async fn broken(&self) -> CallError {
        loop {
            let finished = self.state.finished.load(Ordering::Relaxed);
            let limit = if finished {
                self.stall.max(AFTERWARDS)
            } else {
                self.stall
            };
            let last = Duration::from_millis(self.state.last.load(Ordering::Relaxed));
            let end = self.state.started + last + limit;
            if Instant::now() >= end {
                let seconds = limit.as_secs();
                if self.state.reading.load(Ordering::Relaxed) {
                    return CallError::NotSent {
                        message: format!("the source {} gave nothing for {seconds} s", self.name),
                        hint: Some("the upload was aborted before its end".to_owned()),
                    };
                }
                return CallError::Unknown {
                    message: format!(
                        "the upload of {} made no progress for {seconds} s",
                        self.name
                    ),
                    status: None,
                    request_id: None,
                    retry_after: None,
                };
            }
            tokio::time::sleep_until(end).await;
        }
    }

    /// Why the stream was ended by this side, if it was.
    pub(super) fn taken(&self) -> Option<CallError> {
        self.state
            .error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

struct Pump {
    opened: Opened,
    held: Option<Bytes>,
    sent: u64,
    state: Arc<State>,
    progress: Option<Progress>,
}

impl Opened {
    /// The stream for the transport, its length if it is known, and its watch.
    pub(super) fn stream(
        self,
        stall: Duration,
        progress: Option<Progress>,
    ) -> (ByteStream, Option<u64>, Watch) {
        let state = Arc::new(State {
            started: Instant::now(),
            last: AtomicU64::new(0),
            reading: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            error: Mutex::new(None),
        });
        let watch = Watch {
            state: Arc::clone(&state),
            stall,
            name: self.name.clone(),
        };
        let length = self.length;
        let pump = Pump {
            opened: self,
            held: None,
            sent: 0,
            state,
            progress,
        };
        let stream = futures_util::stream::try_unfold(Some(pump), |pump| async {
            match pump {
                None => Ok(None),
                Some(pump) => pump.next().await,
            }
        });
        (Box::pin(stream), length, watch)
    }
}

impl Pump {
    /// The next piece, one behind what was read.
    async fn next(mut self) -> io::Result<Option<(Bytes, Option<Self>)>> {
        self.state.touch();
        loop {
            self.state.reading.store(true, Ordering::Relaxed);
            let piece = self.read().await;
            self.state.reading.store(false, Ordering::Relaxed);
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => return Err(self.state.abort(self.broken(&error.to_string()))),
            };
            self.state.touch();
            if piece.is_empty() {
                if let Err(error) = self.verify().await {
                    return Err(self.state.abort(error));
                }
                self.state.finished.store(true, Ordering::Relaxed);
                let last = self.held.take();
                return Ok(last.map(|last| self.hand_over(last, true)));
            }
            if let Some(before) = self.held.replace(piece) {
                return Ok(Some(self.hand_over(before, false)));
            }
        }
    }

    fn hand_over(mut self, piece: Bytes, last: bool) -> (Bytes, Option<Self>) {
        self.sent += piece.len() as u64;
        if let Some(progress) = &self.progress {
            progress(Sent {
                bytes: self.sent,
                length: self.opened.length,
            });
        }
        (piece, (!last).then_some(self))
    }

    async fn read(&mut self) -> io::Result<Bytes> {
        let mut piece = BytesMut::with_capacity(PIECE);
        while piece.len() < PIECE / 2 {
            if self.opened.reader.read(&mut piece).await? == 0 {
                break;
            }
        }
        Ok(piece.freeze())
    }

    /// Everything was read: is it what it should be?
    async fn verify(&mut self) -> Result<(), CallError> {
        let held = self.held.as_ref().map_or(0, Bytes::len) as u64;
        let read = self.sent + held;
        if let Some(length) = self.opened.length.filter(|length| *length != read) {
            let why = format!("{length} bytes were expected and {read} came");
            return Err(self.broken(&why));
        }
        let source = self.opened.reader.source();
        // A decoder may stop before the end of what it was given; the digest is of all of it.
        let drained = tokio::io::copy_buf(source, &mut tokio::io::sink()).await;
        drained.map_err(|error| self.broken(&error.to_string()))?;
        let Some(hash) = self.opened.hash.clone() else {
            return Ok(());
        };
        let found = self.opened.reader.source().get_mut().finish();
        if found == hash.value.to_ascii_lowercase() {
            return Ok(());
        }
        Err(CallError::NotSent {
            message: format!(
                "{} has the {} digest {found}, and {} was expected; the upload was aborted",
                self.opened.name,
                format!("{:?}", hash.algorithm).to_lowercase(),
                hash.value
            ),
            hint: Some("the source has changed, or `content.hash` is wrong".to_owned()),
        })
    }

    fn broken(&self, why: &str) -> CallError {
        CallError::NotSent {
            message: format!(
                "{} cannot be read to its end: {}; the upload was aborted",
                self.opened.name,
                fault::tidy(why)
            ),
            hint: None,
        }
    }
}
