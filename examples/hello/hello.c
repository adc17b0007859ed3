// Answers with a greeting. A function is a program: what there is to know of the
// request is in its environment, its content on standard input, and what it prints
// is the response: a head, a blank line, content.

#include <stdio.h>
#include <stdlib.h>

static const char *variable(const char *name, const char *otherwise) {
	const char *value = getenv(name);
	return value && *value ? value : otherwise;
}

int main(void) {
	// /hello/ann has /ann behind the function's own path.
	const char *name = variable("PATH_INFO", "/world") + 1;
	printf("Content-Type: text/plain; charset=utf-8\n");
	printf("\n");
	printf("%s, %s!\n", variable("GREETING", "Hello"), *name ? name : "world");
	fprintf(stderr, "greeted %s\n", variable("REMOTE_ADDR", "nobody")); // for sluice fn logs
	return 0;
}
