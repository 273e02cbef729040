//! The API groups this server answers for. A further one is a further entry here, and its pages.

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

/// Every group, in the order of discovery.
pub(super) static GROUPS: [&Group; 1] = [&CUSTOM_METRICS];

impl Group {
    /// The group of that name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        GROUPS.into_iter().find(|group| group.name == name)
    }

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
        let names: Vec<_> = CUSTOM_METRICS.api_services().collect();
        let expected = [
            "v1beta2.custom.metrics.k8s.io",
            "v1beta1.custom.metrics.k8s.io",
        ];
        assert_eq!(names, expected);
        assert!(CUSTOM_METRICS.resource.ends_with(METRIC));
    }
}
