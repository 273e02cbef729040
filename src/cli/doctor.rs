//! `cio doctor`.

use std::io::IsTerminal;

use anyhow::anyhow;
use clap::Args;

use super::CommandError;
use super::answer::{Answer, Format};
use super::settings::{PipelineRedis, QueueSettings, WorkspaceSettings};
use crate::doctor::check::{Check, Verdict};
use crate::doctor::examination::{Request, Workspace, examine};
use crate::runtime::clock::Clock;

/// Check cluster, permissions, metrics API, Redis and credentials; say what mends each finding.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cio doctor\n  \
    cio doctor events -n shop\n  \
    cio doctor -o json | jq '.[] | select(.verdict != \"pass\")'\n\
    Changes nothing. Exit codes: 0 nothing fails (warnings are no failures), 1 something does, 2 usage.")]
pub(super) struct Doctor {
    /// A `CioPipeline` to look at: its Redis and credentials, read with your rights.
    #[arg(id = "cio-pipeline", value_name = "PIPELINE")]
    cio_pipeline: Option<String>,

    /// The pipeline's namespace [default: that of the kubeconfig's context].
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// Look at the cluster and the metrics API alone: neither at a Redis nor at a workspace.
    #[arg(long, conflicts_with = "cio-pipeline")]
    cluster_only: bool,

    #[command(flatten)]
    redis: PipelineRedis,

    #[command(flatten)]
    queue: QueueSettings,

    #[command(flatten)]
    workspace: WorkspaceSettings,

    #[command(flatten)]
    answer: Answer,
}

impl Doctor {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let answer = self.answer;
        let checks = examine(self.request().await?).await;
        let colour = std::io::stdout().is_terminal() && answer.output == Format::Text;
        answer.print(&checks, |checks| page(checks, colour))?;
        let failures = count(&checks, Verdict::Failure);
        if failures > 0 {
            return Err(anyhow!("{failures} of {} checks failed", checks.len()).into());
        }
        Ok(())
    }

    async fn request(self) -> Result<Request, CommandError> {
        let workspace = self.workspace().await?;
        Ok(Request {
            redis: self.redis.source_if_given(self.cio_pipeline.as_deref())?,
            default_redis: self.redis.source()?,
            keys: self.queue.keys(),
            pipeline: self.cio_pipeline,
            namespace: self.namespace,
            cluster_only: self.cluster_only,
            workspace,
            clock: Clock::system(),
        })
    }

    /// That it is not given is a finding, not an error.
    async fn workspace(&self) -> Result<Result<Workspace, String>, CommandError> {
        let endpoint = self.workspace.endpoint()?;
        let source = match self.workspace.credentials() {
            Ok(source) => source,
            Err(error) => return Ok(Err(error.to_string())),
        };
        Ok(match source.read().await {
            Ok(credentials) => Ok(Workspace {
                region: self.workspace.region,
                endpoint,
                credentials,
            }),
            Err(error) => Err(error.to_string()),
        })
    }
}

fn count(checks: &[Check], verdict: Verdict) -> usize {
    checks
        .iter()
        .filter(|check| check.verdict == verdict)
        .count()
}

fn page(checks: &[Check], colour: bool) -> String {
    let mut lines: Vec<String> = Vec::new();
    for check in checks {
        let (word, paint) = match check.verdict {
            Verdict::Pass => ("ok  ", "\x1b[32m"),
            Verdict::Warning => ("warn", "\x1b[33m"),
            Verdict::Failure => ("FAIL", "\x1b[31m"),
        };
        let word = if colour {
            format!("{paint}{word}\x1b[0m")
        } else {
            word.to_owned()
        };
        // What a server said must not move the cursor.
        let finding = check.finding.replace(char::is_control, " ");
        lines.push(format!("{word}  {:<24} {finding}", check.name));
        if let Some(remedy) = &check.remedy {
            lines.push(format!("{:31}-> {remedy}", ""));
        }
    }
    lines.push(format!(
        "{} checks: {} warnings, {} failures",
        checks.len(),
        count(checks, Verdict::Warning),
        count(checks, Verdict::Failure)
    ));
    lines.join("\n")
}
