//! `stackward reconcile`: a running daemon looks at an object now, and not when it would have.

use std::process::ExitCode;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;

use crate::manifest::{DEFAULT_NAMESPACE, Key};

use super::daemon::Socket;
use super::{connect, output};

const EXAMPLES: &str = "\
Examples:
  stackward reconcile Server/db
  stackward reconcile Server/team/db Volume/data
  stackward get servers -o name | xargs stackward reconcile

It is a matter of time only: nothing is written that would not have been without it.";

/// Have a running daemon look at an object now
///
/// Its cloud is asked anew, and after an error it is tried again without a pause. Everything else
/// stays in force: `pause`, guards and budgets of deletions, graces, and how long a create with an
/// unknown outcome is looked for.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Reconcile {
    /// Objects: Server/db, Server/team/db
    #[arg(value_name = "KIND/NAME", required = true)]
    objects: Vec<String>,
    /// Namespace of the objects that name none
    #[arg(long, short, value_name = "NAMESPACE", default_value = DEFAULT_NAMESPACE)]
    namespace: String,
    #[command(flatten)]
    daemon: Socket,
}

impl Reconcile {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        let keys: Vec<Key> = self
            .objects
            .iter()
            .map(|it| self.key(it))
            .collect::<Result<_, _>>()?;
        let mut fault = None;
        for key in keys {
            let escaped = |part: &str| utf8_percent_encode(part, NON_ALPHANUMERIC).to_string();
            let (kind, namespace, name) = (
                escaped(&key.kind),
                escaped(&key.namespace),
                escaped(&key.name),
            );
            let path = format!("reconcile/{kind}/{namespace}/{name}");
            match self.daemon.ask(Method::POST, &path).await {
                Ok(_) => output::print(&format!("{} is looked at now\n", key.short()))?,
                Err(error) => {
                    if let Some(before) = fault.replace(error) {
                        anstream::eprint!("{}", super::failure::words(&before));
                    }
                }
            }
        }
        fault.map_or(Ok(ExitCode::SUCCESS), Err)
    }

    fn key(&self, word: &str) -> anyhow::Result<Key> {
        let key: Key = word.parse()?;
        let kind = connect::kind_name(&key.kind, &[])?;
        let namespace = match word.matches('/').count() {
            1 => self.namespace.as_str(),
            _ => &key.namespace,
        };
        Ok(Key::new(kind, namespace, &*key.name))
    }
}
