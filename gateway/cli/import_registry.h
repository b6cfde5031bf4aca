/* wellgate import registry FILE. argv[0] is "import", argv[1] "registry". */
#pragma once

int import_registry(int argc, char **argv);
