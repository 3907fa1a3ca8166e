/** How a column of SQLite writes its times: a count of seconds or milliseconds since 1970, ISO text, or more than one of them. */
export type Epoch = "seconds" | "milliseconds" | "iso" | "mixed";

/** The spelling that all ISO texts of a column share. */
export interface IsoForm {
  /** Between date and time. */
  readonly separator: " " | "T";
  /** What follows the time: nothing, `Z` or an offset such as `+02:00`. */
  readonly zone: string;
  /** How many digits follow the seconds; `null`: as many as are needed. */
  readonly fraction: number | null;
}

/** What a survey of the whole column has found, or the operator has said. */
export interface Times {
  readonly epoch: Epoch;
  /** Absent where the texts have no spelling in common. */
  readonly iso?: IsoForm;
}
