//! `cio queue failed`.

use clap::Args;

use super::super::CommandError;
use super::super::answer::Answer;
use super::target::Target;
use super::words::{jobs, moment, one_line};
use crate::queue::oncall::failed::grouped;
use crate::queue::oncall::groups::{Group, Groups};

/// Show why jobs failed: one line for each reason.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cio queue failed\n  \
    cio queue failed events -n shop -o json | jq '.[0]'\n\
    A reason, or a part of it, is what `cio queue retry --reason` takes.")]
pub(super) struct Failed {
    #[command(flatten)]
    target: Target,

    #[command(flatten)]
    answer: Answer,
}

impl Failed {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let opened = self.target.open().await?;
        let groups = grouped(&opened.redis, &opened.keys).await;
        let sorted = groups.map(Groups::into_sorted);
        opened.tell(sorted, self.answer, |it| table(it)).await
    }
}

fn table(groups: &[Group]) -> String {
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
    lines.join("\n")
}
