//! Who may write: bearer tokens in a file, as Kubernetes' static token file has them, and the user at
//! the other end of the control socket.

#![expect(clippy::disallowed_methods, reason = "the tokens are in a file")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A shorter token could be guessed.
const SHORTEST: usize = 16;

/// Who asks, as far as the door or the socket has found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    /// Who has a token: the name beside it.
    Token(Arc<str>),
    /// A user of this machine, on the control socket.
    Local(u32),
    /// Somebody with a password, who may look.
    Guest,
}

/// The tokens, as digests.
#[derive(Debug, Clone, Default)]
pub(super) struct Tokens(Vec<([u8; 32], Arc<str>)>);

/// A file of tokens that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", path.display())]
pub struct BadTokens {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it. Never a token.
    pub message: String,
    /// What to do about it.
    pub hint: &'static str,
}

impl Tokens {
    /// Reads them: in each line a token, and after a comma whose it is.
    ///
    /// # Errors
    /// The file cannot be read, can be read by everybody, or holds no token that is long enough.
    pub(super) fn read(path: &Path) -> Result<Self, BadTokens> {
        let bad = |message: String, hint| BadTokens {
            path: path.to_owned(),
            message,
            hint,
        };
        let unreadable = |error: std::io::Error| {
            let hint = "correct --api-token-file, or leave it out";
            bad(format!("cannot be read: {error}"), hint)
        };
        let found = std::fs::metadata(path).map_err(unreadable)?;
        let mode = found.permissions().mode();
        if mode & 0o007 != 0 {
            let message = format!(
                "everybody on this machine may open it: its mode is {:04o}",
                mode & 0o7777
            );
            return Err(bad(message, "chmod 600, and new tokens in it"));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text).map_err(|message| {
            let hint = "TOKEN,USER in each line; `openssl rand -hex 32` makes a token";
            bad(message, hint)
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut fields = line.split(',').map(|it| it.trim().trim_matches('"'));
            let token = fields.next().unwrap_or_default();
            if token.len() < SHORTEST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!(
                    "line {number}: a token has at least {SHORTEST} letters and digits, and no spaces"
                ));
            }
            let user = match fields.next().filter(|it| !it.is_empty()) {
                Some(user) if user.contains(char::is_control) => {
                    return Err(format!(
                        "line {number}: the user's name has control characters"
                    ));
                }
                Some(user) => user.into(),
                None => format!("token of line {number}").into(),
            };
            tokens.push((digest(token.as_bytes()), user));
        }
        match tokens.is_empty() {
            true => Err("there is no token in it".to_owned()),
            false => Ok(Self(tokens)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose token it is. How long it takes says nothing about the tokens that there are.
    pub(super) fn user(&self, token: &[u8]) -> Option<Arc<str>> {
        let given = digest(token);
        let mut found = None;
        for (known, user) in &self.0 {
            if bool::from(known.ct_eq(&given)) {
                found = Some(Arc::clone(user));
            }
        }
        found
    }
}

/// The token of a request.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| rest.trim_ascii())
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_token_says_whose_it_is_and_another_one_nothing() {
        let text = format!("# writers\n\n{TOKEN},\"me\",1000,\"group\"\n{TOKEN}0\n");
        let tokens = Tokens::parse(&text).unwrap();
        assert_eq!(tokens.user(TOKEN.as_bytes()).as_deref(), Some("me"));
        let second = format!("{TOKEN}0");
        let user = tokens.user(second.as_bytes());
        assert_eq!(user.as_deref(), Some("token of line 4"));
        assert!(tokens.user(&TOKEN.as_bytes()[1..]).is_none() && tokens.user(b"").is_none());
        assert!(!format!("{tokens:?}").contains(TOKEN));
    }

    #[test]
    fn what_is_no_file_of_tokens_is_refused_without_showing_them() {
        for text in [
            "",
            "# none\n",
            "hunter2,me\n",
            "two words and more of them,me\n",
        ] {
            let message = Tokens::parse(text).unwrap_err();
            assert!(
                !message.contains("hunter2") && !message.contains("words and"),
                "{message}"
            );
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, TOKEN).unwrap();
        let mode = |mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(file.path(), permissions).unwrap();
            Tokens::read(file.path()).map_err(|error| error.to_string())
        };
        assert!(mode(0o600).is_ok() && mode(0o440).is_ok());
        let error = mode(0o644).unwrap_err();
        assert!(
            error.contains("everybody") && !error.contains(TOKEN),
            "{error}"
        );
    }

    #[test]
    fn a_bearer_token_is_taken_from_its_header() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, text.parse().unwrap());
            bearer(&headers).map(<[u8]>::to_vec)
        };
        assert_eq!(of("Bearer  abc "), Some(b"abc".to_vec()));
        assert_eq!(of("bearer abc"), Some(b"abc".to_vec()));
        assert_eq!(of("Basic abc"), None);
        assert_eq!(of("Bear"), None);
    }
}
