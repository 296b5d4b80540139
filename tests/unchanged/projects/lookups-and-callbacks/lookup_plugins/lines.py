from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        found = []
        for term in terms:
            path = self.find_file_in_search_path(variables, ".", term) or term
            with open(path) as file:
                found.append(file.read().split())
        return found
