//! Tells the stories to a cloud, step by step, and takes back what they made, whatever happens.
//!
//! A step that fails does not end its story: what depends on it fails by the name that it did not keep.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::cloud::{Answer, Cloud, Request};
use super::echo::echo;
use super::pattern::{self, Look, Names};
use super::story::{self, Step, Story, Undo};

/// Between two looks at what has not become so yet.
const PAUSE: Duration = Duration::from_millis(250);

/// How long something may refuse to be taken back.
const LEAVING: Duration = Duration::from_secs(90);

/// What came of a run.
#[derive(Default)]
pub(crate) struct Report {
    /// By story: how many steps there were, and how many of them failed.
    pub(crate) counts: Vec<(&'static str, usize, usize)>,
    /// Each failed step in full.
    pub(crate) failures: Vec<String>,
    /// How many answers were compared with the list after them, by kind.
    pub(crate) echoes: BTreeMap<&'static str, usize>,
    /// What could not be taken back.
    pub(crate) left: Vec<String>,
}

/// Runs all stories, or the chosen ones after the first, against a cloud that `names` says how to reach.
pub(crate) async fn run(mut cloud: Cloud, names: Names, chosen: &[String]) -> Report {
    let stories = story::read();
    let wanted = |story: &Story| chosen.is_empty() || chosen.iter().any(|it| it == story.name);
    let interrupted = interruption();
    let mut teller = Teller {
        cloud: &mut cloud,
        stories: &stories,
        names,
        undo: Vec::new(),
        report: Report::default(),
    };
    let mut common = None;
    for (n, story) in stories.iter().enumerate() {
        if n > 0 && !wanted(story) {
            continue;
        }
        if let Some(names) = &common {
            teller.names = Names::clone(names);
        }
        let before = teller.report.failures.len();
        for step in &story.steps {
            if interrupted.load(Ordering::Relaxed) {
                teller.report.failures.push("interrupted".to_owned());
                break;
            }
            if let Err(failure) = teller.step(story, step).await {
                teller.report.failures.push(failure);
            }
        }
        let failed = teller.report.failures.len() - before;
        let count = (story.name, story.steps.len(), failed);
        teller.report.counts.push(count);
        // What the users' story made stays until the end.
        match common {
            None => common = Some(teller.names.clone()),
            Some(_) => teller.take_back(story.name).await,
        }
    }
    teller.take_back("").await;
    teller.report
}

impl Report {
    /// How many steps of each service there were, as a table.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::new();
        for (name, steps, failed) in &self.counts {
            let _ = writeln!(text, "{name:14} {steps:4} steps {failed:4} failed");
        }
        let steps: usize = self.counts.iter().map(|it| it.1).sum();
        let failed: usize = self.counts.iter().map(|it| it.2).sum();
        let _ = writeln!(text, "{:14} {steps:4} steps {failed:4} failed", "together");
        text
    }
}

struct Teller<'a> {
    cloud: &'a mut Cloud,
    stories: &'a [Story],
    names: Names,
    undo: Vec<Made>,
    report: Report,
}

impl Teller<'_> {
    async fn step(&mut self, story: &Story, step: &Step) -> Result<(), String> {
        let at = |problem: String| format!("{}: {}\n  {problem}", story.name, step.step);
        let request = self.request(story, step).map_err(at)?;
        let expected = self.expected(story, step).map_err(at)?;
        let shown = shown(&request);
        let mut left = Duration::from_secs(step.within.unwrap_or(0));
        let (problems, answer) = loop {
            let answer = self.cloud.send(&request).await.map_err(at)?;
            let Look { kept, mut wrong } = judge(step, &expected, &answer);
            if let Some(meanwhile) = expected.meanwhile.as_ref().filter(|_| !wrong.is_empty()) {
                let strange = pattern::compare(meanwhile, Some(&answer.body)).wrong;
                if !strange.is_empty() {
                    wrong.extend(strange.into_iter().map(|it| format!("meanwhile {it}")));
                    left = Duration::ZERO;
                }
            }
            if wrong.is_empty() || left.is_zero() {
                self.names.extend(kept);
                break (wrong, answer);
            }
            self.cloud.pause(PAUSE).await;
            left = left.saturating_sub(PAUSE);
        };
        // It may have been made even if it was not to be.
        let undone = self.keep_undo(story, step);
        if problems.is_empty() {
            undone.map_err(at)?;
            return self
                .listen(story, step, &request, &answer)
                .await
                .map_err(at);
        }
        let problems = problems.join("\n    ");
        let Answer { status, body, .. } = answer;
        Err(at(format!(
            "{shown}\n  expected {}\n  got {status} {body}\n    {problems}",
            step.status
        )))
    }

    /// Does the list say what the answer said?
    async fn listen(
        &mut self,
        story: &Story,
        step: &Step,
        request: &Request,
        answer: &Answer,
    ) -> Result<(), String> {
        let (_, service, path) = step.parts();
        let other = service.and_then(|name| self.stories.iter().find(|it| it.name == name));
        let Some(echo) = echo(request, path, answer) else {
            return Ok(());
        };
        let base = pattern::fill_text(&other.unwrap_or(story).base, &self.names)?;
        let list = self.cloud.send(&echo.list(request, &base)).await?;
        *self.report.echoes.entry(echo.kind.name()).or_default() += 1;
        echo.difference(&list).map_or(Ok(()), Err)
    }

    fn request(&self, story: &Story, step: &Step) -> Result<Request, String> {
        let (method, service, path) = step.parts();
        let other = service.and_then(|name| self.stories.iter().find(|it| it.name == name));
        let told = other.unwrap_or(story);
        let body = match (&step.body, &step.data) {
            (Some(body), _) => Some(pattern::fill(body, &self.names)?.to_string().into_bytes()),
            (None, Some(data)) => Some(pattern::fill_text(data, &self.names)?.into_bytes()),
            (None, None) => None,
        };
        let mut headers = vec![("Accept".to_owned(), "application/json".to_owned())];
        let asker = step.asker.as_ref().unwrap_or(&story.asker);
        if asker != "nobody" {
            let token = pattern::fill_text(&format!("{{{asker}}}"), &self.names)?;
            headers.push(("X-Auth-Token".to_owned(), token));
        }
        let at = step.at.as_ref().or(told.at.as_ref());
        if let Some(at) = at.filter(|at| *at != "none") {
            let service = match told.name {
                "block-storage" => "volume",
                name => name,
            };
            headers.push((
                "OpenStack-API-Version".to_owned(),
                format!("{service} {at}"),
            ));
        }
        for (name, value) in &step.headers {
            headers.push((name.clone(), pattern::fill_text(value, &self.names)?));
        }
        let has_type = headers.iter().any(|(name, _)| name == "Content-Type");
        if body.is_some() && !has_type {
            let kind = if step.data.is_some() {
                "application/octet-stream"
            } else {
                "application/json"
            };
            headers.push(("Content-Type".to_owned(), kind.to_owned()));
        }
        Ok(Request {
            method: method.to_owned(),
            url: self.address(told, path)?,
            headers,
            body,
        })
    }

    fn address(&self, story: &Story, path: &str) -> Result<String, String> {
        let path = pattern::fill_text(path, &self.names)?;
        if path.starts_with("http") {
            return Ok(path);
        }
        let base = pattern::fill_text(&story.base, &self.names)?;
        Ok(if path.is_empty() {
            base
        } else {
            format!("{base}/{path}")
        })
    }

    fn expected(&self, story: &Story, step: &Step) -> Result<Expected, String> {
        let (_, service, _) = step.parts();
        let other = service.and_then(|name| self.stories.iter().find(|it| it.name == name));
        let body = match (&step.answer, &step.refused) {
            (Some(answer), _) => pattern::fill(answer, &self.names)?,
            (None, None) => Value::Null,
            (None, Some(refused)) => {
                let (kind, message) = refused.first_key_value().ok_or("an empty `refused`")?;
                let message = pattern::fill_text(message, &self.names)?;
                let parts = Names::from([
                    ("status".to_owned(), json!(step.status)),
                    ("kind".to_owned(), json!(kind)),
                    ("message".to_owned(), json!(message)),
                ]);
                pattern::fill(&other.unwrap_or(story).fault, &parts)?
            }
        };
        let head: Result<_, String> = step
            .head
            .iter()
            .map(|(name, value)| Ok((name.clone(), pattern::fill(value, &self.names)?)))
            .collect();
        let meanwhile = step.meanwhile.as_ref();
        Ok(Expected {
            body,
            head: head?,
            meanwhile: meanwhile
                .map(|it| pattern::fill(it, &self.names))
                .transpose()?,
        })
    }

    fn keep_undo(&mut self, story: &Story, step: &Step) -> Result<(), String> {
        let (ask, body, asker) = match &step.undo {
            None => return Ok(()),
            Some(Undo::Ask(ask)) => (ask, None, None),
            Some(Undo::With { ask, body, asker }) => (ask, body.clone(), asker.clone()),
        };
        let until_gone = matches!(step.undo, Some(Undo::Ask(_)));
        let step = Step {
            ask: ask.clone(),
            asker: asker.or_else(|| step.asker.clone()),
            body,
            data: None,
            headers: BTreeMap::new(),
            ..step.clone()
        };
        let request = self.request(story, &step)?;
        self.undo.push(Made {
            story: story.name,
            sentence: step.step,
            request,
            until_gone,
        });
        Ok(())
    }

    /// Takes back what a story made, the last first; all that is left for the empty name.
    async fn take_back(&mut self, story: &str) {
        let (now, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.undo)
            .into_iter()
            .partition(|made| story.is_empty() || made.story == story);
        self.undo = later;
        for made in now.into_iter().rev() {
            let mut left = LEAVING;
            let problem = loop {
                let problem = match self.cloud.send(&made.request).await {
                    Ok(answer) if matches!(answer.status, 404 | 410) => break None,
                    Ok(answer) if !made.until_gone && answer.status < 300 => break None,
                    Ok(answer) => format!("{} {}", answer.status, answer.body),
                    Err(problem) => problem,
                };
                if left.is_zero() {
                    break Some(problem);
                }
                self.cloud.pause(PAUSE).await;
                left = left.saturating_sub(PAUSE);
            };
            if let Some(problem) = problem {
                let Made {
                    story, sentence, ..
                } = made;
                let request = shown(&made.request);
                let left = format!("{story}: {sentence}\n  left behind: {request}: {problem}");
                self.report.left.push(left);
            }
        }
    }
}

/// Something to be taken back.
struct Made {
    story: &'static str,
    sentence: String,
    request: Request,
    /// A deletion that was accepted goes on for a while: asked for until there is nothing to delete.
    until_gone: bool,
}

struct Expected {
    body: Value,
    head: BTreeMap<String, Value>,
    meanwhile: Option<Value>,
}

fn judge(step: &Step, expected: &Expected, answer: &Answer) -> Look {
    let mut look = pattern::compare(&expected.body, Some(&answer.body));
    if answer.status != step.status {
        look.wrong.push(format!("status {} expected", step.status));
    }
    for (name, wanted) in &expected.head {
        let seen = answer.headers.get(name).map(|it| json!(it));
        let Look { kept, wrong } = pattern::compare(wanted, seen.as_ref());
        look.kept.extend(kept);
        let wrong = wrong.into_iter().map(|it| format!("header {name}: {it}"));
        look.wrong.extend(wrong);
    }
    look
}

/// A request for people: without its token, and not longer than can be read.
fn shown(request: &Request) -> String {
    let mut text = format!("{} {}", request.method, request.url);
    for (name, value) in &request.headers {
        if name == "OpenStack-API-Version" {
            let _ = write!(text, " ({value})");
        }
    }
    if let Some(body) = &request.body {
        let body = String::from_utf8_lossy(body);
        let _ = write!(text, " {}", body.chars().take(600).collect::<String>());
    }
    text
}

/// Becomes true at Ctrl-C or SIGTERM, so that what was made is still taken back.
fn interruption() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&flag);
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    tokio::spawn(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        seen.store(true, Ordering::Relaxed);
    });
    flag
}
