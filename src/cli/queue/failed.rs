//! `cio queue failed`.

use clap::Args;

use super::super::CommandError;
use super::super::answer::Answer;
use super::target::Target;
use super::words::{jobs, moment, one_line};
use crate::queue::oncall::failed::grouped;
use crate::queue::oncall::groups::{Group, Groups};
use crate::queue::oncall::mask::is_masked;

/// Show why jobs failed: one line for each reason.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cio queue failed\n  \
    cio queue failed events -n shop -o json | jq '.[0]'\n\
    A reason, or a part of it, is what `cio queue retry --reason` takes.\n\
    Words that are not of a fixed list are replaced by … unless --show-data is given: another worker's reason,\n\
    or Customer.io's own, may quote the data.")]
pub(super) struct Failed {
    /// Show reasons as they are: each may name people.
    #[arg(long)]
    show_data: bool,

    #[command(flatten)]
    target: Target,

    #[command(flatten)]
    answer: Answer,
}

impl Failed {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let opened = self.target.open().await?;
        let groups = grouped(&opened.redis, &opened.keys, self.show_data).await;
        let sorted = groups.map(Groups::into_sorted);
        let hides = !self.show_data;
        opened
            .tell(sorted, self.answer, |it| table(it, hides))
            .await
    }
}

fn table(groups: &[Group], hides: bool) -> String {
    if groups.is_empty() {
        return "no failed jobs".to_owned();
    }
    let total = groups.iter().map(|group| group.count).sum();
    let mut lines = vec![format!(
        "{:>8}  {:<20}  {:<20}  {:<19}  REASON",
        "JOBS", "OLDEST", "NEWEST", "EXAMPLE"
    )];
    lines.extend(groups.iter().map(|group| {
        format!(
            "{:>8}  {:<20}  {:<20}  {:<19}  {}",
            group.count,
            moment(group.oldest),
            moment(group.newest),
            group.example,
            one_line(&group.reason)
        )
    }));
    lines.push(format!("{} in all", jobs(total)));
    if hides && groups.iter().any(|group| is_masked(&group.reason)) {
        lines.push("… stands for words that may name a person: --show-data shows them".to_owned());
    }
    lines.join("\n")
}
