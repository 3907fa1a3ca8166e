/** The schema of PostgreSQL in which our tables and the application's are, as an expression: its name may need quotes. */
export const ownSchema = "quote_ident(current_schema())::regnamespace";
