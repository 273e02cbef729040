//! Why a job can never be delivered as it is, found before anything is sent.

/// A sentence that a person can act on. It names fields and sizes, and repeats no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The job's name is neither of the two.
    #[error(
        "the job's name is neither \"identify\" nor \"track\": nothing here knows what to do with it"
    )]
    UnknownName,
    /// The job's data cannot be read.
    #[error("the job's data is not JSON in UTF-8, or nested deeper than 127 levels")]
    DataNotJson,
    /// The job's data was not even taken out of Redis.
    #[error(
        "the job's data has {bytes} bytes, more than the {limit} that are read: Customer.io takes no more than 100000 of one event"
    )]
    DataTooLong {
        /// Its length.
        bytes: usize,
        /// What is read at most.
        limit: usize,
    },
    /// The job's data is not an object.
    #[error("the job's data is not an object: enqueue {{userId, data, enqueuedAt}}")]
    DataNotObject,
    /// No `userId`.
    #[error("userId is missing: enqueue {{userId, data, enqueuedAt}}")]
    UserIdMissing,
    /// `userId` is of another type.
    #[error("userId is neither a string nor a number")]
    UserIdType,
    /// `userId` is empty.
    #[error("userId is empty")]
    UserIdEmpty,
    /// `userId` is `.` or `..`, which no path can hold.
    #[error(
        "userId consists of dots alone, which no request path can hold: use CIO_DELIVERY_MODE=batch"
    )]
    UserIdNotInPath,
    /// The inner `data` is not an object.
    #[error("data of an {0} is not an object")]
    BodyNotObject(&'static str),
    /// No event name.
    #[error("data.name is missing: an event needs a name")]
    EventNameMissing,
    /// The event name is not a string, or blank.
    #[error("data.name is not a string with something in it")]
    EventNameBlank,
    /// The event's own data is not an object.
    #[error("data.data is not an object: Customer.io takes only an object as an event's data")]
    EventDataNotObject,
    /// The event's id is not a string.
    #[error("data.id is not a string: Customer.io expects a ULID, or leave it out")]
    EventIdType,
    /// The event's type is unknown.
    #[error("data.type is none of \"event\", \"page\", \"screen\"")]
    EventType,
    /// A time is neither in seconds nor in milliseconds.
    #[error("{0} is not a time in whole seconds since 1970")]
    Time(&'static str),
    /// Something is longer than Customer.io takes.
    #[error("{what} has {bytes} bytes in UTF-8, more than the {limit} that Customer.io takes")]
    TooLong {
        /// What is too long; an attribute is named.
        what: String,
        /// Its length.
        bytes: usize,
        /// The documented limit.
        limit: usize,
    },
    /// More attributes than one identify may have.
    #[error("{count} attributes in one identify, more than the {limit} that Customer.io takes")]
    TooManyAttributes {
        /// How many there are.
        count: usize,
        /// The documented limit.
        limit: usize,
    },
}

impl Refusal {
    /// The field at fault, for logs: static, so that no user's data can be in it. Where it is one of
    /// the job's data, it is named from there on.
    pub fn field(&self) -> &'static str {
        match self {
            Self::UnknownName => "job.name",
            Self::DataNotJson | Self::DataNotObject => "job.data",
            Self::UserIdMissing | Self::UserIdType | Self::UserIdEmpty | Self::UserIdNotInPath => {
                "userId"
            }
            Self::BodyNotObject(_) => "data",
            Self::EventNameMissing | Self::EventNameBlank => "data.name",
            Self::EventDataNotObject => "data.data",
            Self::EventIdType => "data.id",
            Self::EventType => "data.type",
            Self::Time(field) => field,
            Self::DataTooLong { .. } | Self::TooLong { .. } | Self::TooManyAttributes { .. } => {
                "size"
            }
        }
    }
}
