//! Every kind through its whole life, field by field: made, left alone, changed and changed back,
//! unset, put right, refused, replaced, let go of, imported, adopted, lost and deleted.
//!
//! What is tried is written in `kinds/*.yaml`, one file for each subject; what has to be tried is
//! computed from the kinds' own rows, so that a field that nobody wrote down fails. The script is
//! played on the simulated cloud with the pure engine, and by the program on a real one:
//!
//! ```text
//! cargo test --test life -- --nocapture
//! LIFE_CLOUD=admin cargo test --test life real -- --ignored --nocapture
//! ```
//!
//! `LIFE_TABLE` names a file for the table, `LIFE_ONLY` the subjects (for looking into one).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that fails says where"
)]

mod actor;
mod live;
mod play;
mod script;
mod simulated;
mod stage;
mod subject;
mod table;

#[path = "../sim/mod.rs"]
mod sim;

use play::Play;
use stage::Stage;
use subject::Subject;
use table::Table;

#[test]
fn every_field_of_every_kind_is_in_the_table() {
    let subjects = Subject::all("life");
    let missing = table::missing(&subjects);
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_kind_lives_its_whole_life_on_the_sandbox() {
    let subjects = chosen(Subject::all("life"));
    let table = lives(simulated::Simulated::new(), &subjects);
    finish(&table);
}

#[test]
#[ignore = "needs a real cloud: set LIFE_CLOUD and add --ignored"]
fn every_kind_lives_its_whole_life_on_a_real_cloud() {
    let cloud = std::env::var("LIFE_CLOUD").expect("LIFE_CLOUD names an administrator's cloud");
    let run = format!("life{}", fastrand::u16(..));
    let mut subjects = chosen(Subject::all(&run));
    let left_out: Vec<Subject> = subjects
        .extract_if(.., |it| it.sandbox_only.is_some())
        .collect();
    subjects.iter_mut().for_each(Subject::on_a_cloud);
    let mut table = lives(live::Live::new(&cloud, &run), &subjects);
    for subject in &left_out {
        table.leave_out(subject);
    }
    finish(&table);
}

fn lives<S: Stage>(stage: S, subjects: &[Subject]) -> Table {
    let mut play = Play::new(stage, subjects);
    play.whole_life();
    play.table
}

fn chosen(mut subjects: Vec<Subject>) -> Vec<Subject> {
    if let Ok(only) = std::env::var("LIFE_ONLY") {
        let only: Vec<&str> = only.split(',').collect();
        let file = |it: &Subject| {
            it.file
                .trim_end_matches(|c: char| c == '-' || c.is_numeric())
                .to_owned()
        };
        subjects.retain(|it| only.contains(&file(it).as_str()));
    }
    subjects
}

fn finish(table: &Table) {
    let text = table.to_string();
    eprintln!("{text}");
    if let Ok(path) = std::env::var("LIFE_TABLE") {
        std::fs::write(path, &text).unwrap();
    }
    let wrong = table.wrong();
    assert!(
        wrong.is_empty(),
        "{} of the table:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
