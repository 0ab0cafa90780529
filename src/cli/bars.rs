//! What goes on for longer, for a person at a terminal: a bar for each upload, and with `--once` one for
//! the whole. They stand below the lines and go when they are done; without a terminal there are none.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, stderr, stdout};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::daemon::uploads::{Upload, Uploads};
use crate::engine::snapshot::Snapshot;

use super::standing::{Standing, clean};

/// How often uploads are looked at.
pub(super) const EVERY: Duration = Duration::from_millis(200);

const WHOLE: &str = "{elapsed:>8}  {bar:30} {pos} of {len} Available";
const UPLOAD: &str =
    "{elapsed:>8}  {bar:30} {msg}: {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
/// It is decompressed on the way, or comes from somebody who does not say how much it is.
const ENDLESS: &str = "{elapsed:>8}  {spinner} {msg}: {bytes}, {bytes_per_sec}";

/// The bars.
#[derive(Debug)]
pub(super) struct Bars {
    lines: MultiProgress,
    once: bool,
    /// From when there is something to count.
    whole: Option<ProgressBar>,
    uploads: Uploads,
    shown: BTreeMap<u64, ProgressBar>,
}

impl Bars {
    /// Bars on stderr, if somebody sees them beside what stdout says.
    pub(super) fn new(uploads: Uploads, once: bool) -> Self {
        let target = match stdout().is_terminal() && stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        Self::on(target, uploads, once)
    }

    fn on(target: ProgressDrawTarget, uploads: Uploads, once: bool) -> Self {
        Self {
            lines: MultiProgress::with_draw_target(target),
            once,
            whole: None,
            uploads,
            shown: BTreeMap::new(),
        }
    }

    /// Does anybody see them?
    pub(super) fn are_seen(&self) -> bool {
        !self.lines.is_hidden()
    }

    /// Writes lines above them.
    pub(super) fn above<T>(&self, write: impl FnOnce() -> T) -> T {
        self.lines.suspend(write)
    }

    /// Shows how much of the whole is done.
    pub(super) fn count(&mut self, snapshot: &Snapshot) {
        if !self.once || snapshot.objects.is_empty() {
            return;
        }
        let whole = self.whole.get_or_insert_with(|| {
            self.lines
                .add(ProgressBar::hidden().with_style(style(WHOLE)))
        });
        let words = snapshot.objects.values().map(|it| Standing::of(it).word);
        let done = words.filter(|it| *it == "Available").count();
        whole.set_length(u64::try_from(snapshot.objects.len()).unwrap_or_default());
        whole.set_position(u64::try_from(done).unwrap_or_default());
    }

    /// Shows how far the uploads are.
    pub(super) fn tick(&mut self) {
        let under_way = self.uploads.under_way();
        self.shown.retain(|number, bar| {
            let goes_on = under_way.contains_key(number);
            if !goes_on {
                bar.finish_and_clear();
            }
            goes_on
        });
        for (number, upload) in under_way {
            let lines = &self.lines;
            let bar = self
                .shown
                .entry(number)
                .or_insert_with(|| lines.insert(0, of_upload(&upload)));
            if let (Some(length), None) = (upload.sent.length, bar.length()) {
                bar.set_style(style(UPLOAD));
                bar.set_length(length);
            }
            bar.set_position(upload.sent.bytes);
        }
        if let Some(whole) = &self.whole {
            whole.tick();
        }
    }

    /// Takes them away.
    pub(super) fn clear(&mut self) {
        let uploads = std::mem::take(&mut self.shown).into_values();
        for bar in uploads.chain(self.whole.take()) {
            bar.finish_and_clear();
        }
    }
}

fn of_upload(upload: &Upload) -> ProgressBar {
    let bar = ProgressBar::no_length().with_style(style(ENDLESS));
    bar.with_message(clean(&upload.name))
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use indicatif::{InMemoryTerm, TermLike};

    use super::*;
    use crate::cloud::upload::Sent;
    use crate::kinds::call::Source;

    fn bars(uploads: &Uploads, once: bool) -> (InMemoryTerm, Bars) {
        let term = InMemoryTerm::new(10, 100);
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(term.clone()), 255);
        (term, Bars::on(target, uploads.clone(), once))
    }

    #[test]
    fn an_upload_has_a_bar_below_the_lines_until_it_ends() {
        let uploads = Uploads::default();
        let (term, mut bars) = bars(&uploads, false);
        assert!(bars.are_seen());
        bars.tick();
        assert_eq!(term.contents(), "");
        let one = uploads.begin(&Source::File("/srv/big\u{1b}.raw".into()));
        one.noting()(Sent {
            bytes: 512 << 20,
            length: Some(2 << 30),
        });
        bars.tick();
        assert!(term.contents().contains("big .raw: 512.00 MiB of 2.00 GiB"));
        bars.above(|| term.write_line("Image/a  Uploading").unwrap());
        bars.tick();
        let contents = term.contents();
        let lines: Vec<&str> = contents.lines().collect();
        assert_eq!(lines[0], "Image/a  Uploading");
        assert!(
            lines[1].contains("[") || lines[1].contains("=>"),
            "{contents}"
        );
        drop(one);
        bars.tick();
        assert_eq!(term.contents(), "Image/a  Uploading");
    }

    #[test]
    fn without_a_length_it_says_how_much_went_out() {
        let uploads = Uploads::default();
        let (term, mut bars) = bars(&uploads, true);
        let one = uploads.begin(&Source::Url("https://h/a.qcow2.xz".to_owned()));
        one.noting()(Sent {
            bytes: 3 << 10,
            length: None,
        });
        bars.tick();
        assert!(term.contents().contains("a.qcow2.xz: 3.00 KiB,"));
        bars.clear();
        assert_eq!(term.contents(), "");
        drop(one);
    }
}
