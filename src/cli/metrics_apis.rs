//! Which groups of the Kubernetes API the adapter answers for.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::adapter::{MetricsApi, Served};

const CUSTOM: &str = "custom";
const EXTERNAL: &str = "external";

/// The same for the adapter and for the operator that makes its certificate.
#[derive(Debug, Args)]
pub(super) struct MetricsApis {
    /// `custom` is custom.metrics.k8s.io, for pipelines with `metricSource: Pods`, `external` is
    /// external.metrics.k8s.io, for those with `External`; repeat it for both.
    #[arg(
        long = "metrics-api",
        env = "CIO_METRICS_APIS",
        value_name = "API",
        value_delimiter = ',',
        default_value = CUSTOM,
        value_parser = apis()
    )]
    apis: Vec<MetricsApi>,
}

impl MetricsApis {
    pub(super) fn served(&self) -> Served {
        Served::new(&self.apis)
    }
}

fn apis() -> impl TypedValueParser<Value = MetricsApi> {
    PossibleValuesParser::new([CUSTOM, EXTERNAL]).map(|it| {
        if it == EXTERNAL {
            MetricsApi::External
        } else {
            MetricsApi::Custom
        }
    })
}
