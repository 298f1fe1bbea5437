namespace rs bench

service Echo {
    binary echo(1: required binary body),
}
