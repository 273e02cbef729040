//! The API groups this server can answer for. A further one is a further entry here, and its pages.

/// A group of the Kubernetes API, with the one resource served in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// For example `custom.metrics.k8s.io`.
    pub(super) name: &'static str,
    /// The preferred version first.
    pub(super) versions: &'static [&'static str],
    /// The resource as `APIResourceList` names it.
    pub(super) resource: &'static str,
    /// The kind of the answer.
    pub(super) kind: &'static str,
}

/// The name of the one metric, everywhere.
pub(super) const METRIC: &str = "cio_queue_depth";

/// Metrics that describe Kubernetes objects; here always pods.
pub(super) static CUSTOM_METRICS: Group = Group {
    name: "custom.metrics.k8s.io",
    versions: &["v1beta2", "v1beta1"],
    resource: "pods/cio_queue_depth",
    kind: "MetricValueList",
};

/// Metrics that describe no object of the cluster: a pipeline's whole queue.
pub(super) static EXTERNAL_METRICS: Group = Group {
    name: "external.metrics.k8s.io",
    versions: &["v1beta1"],
    resource: METRIC,
    kind: "ExternalMetricValueList",
};

/// A group, as a person names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsApi {
    /// `custom.metrics.k8s.io`, for `metricSource: Pods`.
    Custom,
    /// `external.metrics.k8s.io`, for `metricSource: External`.
    External,
}

/// The groups that a server answers for: those whose `APIService` objects are its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served(Vec<&'static Group>);

impl Served {
    /// These groups, each once.
    pub fn new(apis: &[MetricsApi]) -> Self {
        let named = [
            (MetricsApi::Custom, &CUSTOM_METRICS),
            (MetricsApi::External, &EXTERNAL_METRICS),
        ];
        let asked = named.into_iter().filter(|(api, _)| apis.contains(api));
        Self(asked.map(|(_, group)| group).collect())
    }

    /// In the order of discovery.
    pub(super) fn groups(&self) -> impl Iterator<Item = &'static Group> {
        self.0.iter().copied()
    }

    /// The group of that name.
    pub(super) fn named(&self, name: &str) -> Option<&'static Group> {
        self.groups().find(|group| group.name == name)
    }

    /// The names of their `APIService` objects.
    pub fn api_services(&self) -> impl Iterator<Item = String> {
        self.groups().flat_map(Group::api_services)
    }
}

impl Group {
    /// This group's version of that name, as a static string.
    pub(super) fn version(&self, name: &str) -> Option<&'static str> {
        self.versions.iter().copied().find(|known| *known == name)
    }

    /// The names of its `APIService` objects.
    pub(super) fn api_services(&self) -> impl Iterator<Item = String> {
        let group = self.name;
        self.versions
            .iter()
            .map(move |version| format!("{version}.{group}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_services_are_called_version_dot_group() {
        let of = |apis: &[MetricsApi]| Served::new(apis).api_services().collect::<Vec<_>>();
        let custom = [
            "v1beta2.custom.metrics.k8s.io",
            "v1beta1.custom.metrics.k8s.io",
        ];
        let external = ["v1beta1.external.metrics.k8s.io"];
        assert_eq!(of(&[MetricsApi::Custom]), custom);
        assert_eq!(of(&[MetricsApi::External]), external);
        let both = [MetricsApi::External, MetricsApi::Custom, MetricsApi::Custom];
        assert_eq!(of(&both), [&custom[..], &external].concat());
        assert!(CUSTOM_METRICS.resource.ends_with(METRIC));
    }

    #[test]
    fn a_group_that_is_not_served_has_no_pages() {
        let served = Served::new(&[MetricsApi::External]);
        assert_eq!(served.named(CUSTOM_METRICS.name), None);
        assert_eq!(served.named(EXTERNAL_METRICS.name), Some(&EXTERNAL_METRICS));
    }
}
